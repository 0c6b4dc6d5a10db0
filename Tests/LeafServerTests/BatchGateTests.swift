import LeafGeneration
import LeafServer
import LeafWire
import Leafcutter
import Synchronization
import Testing

/// Which places a batch may take beside those who ask themselves.
@Suite struct BatchGateTests {
    private func request(samples: Int = 1) throws -> AnyRequest {
        let file = try Desk.shared.get().model.file
        let prompt = try PromptRows(ids: [6, 20], task: 2, segment: 2, for: file.configuration)
        return .generate(GenerationRequest(prompt: prompt, options: GenerationOptions(), samples: samples))
    }

    private func gate(places: Int, onRelease: @escaping @Sendable () -> Void = {}) throws -> BatchGate {
        BatchGate(try Desk.shared.get().model.file.configuration, places: places, onRelease: onRelease)
    }

    private func entry(_ number: Int, places: Int = 1) -> Carousel.Entry {
        Carousel.Entry(number: number, client: "a", places: places, isBackground: false)
    }

    /// A carousel by reference, which macros can change.
    private final class Ride {
        var carousel: Carousel
        private let gate: BatchGate

        init(_ gate: BatchGate, places: Int) {
            (self.gate, carousel) = (gate, Carousel(places: places, capacity: 10))
        }

        func add(_ entry: Carousel.Entry) -> Bool { carousel.add(entry) }
        func next() -> Int? { gate.next(of: &carousel)?.number }
    }

    @Test func nothingBeginsBeforeTheOthersWereAsked() throws {
        let gate = try gate(places: 4)
        #expect(try !gate.take(request(), within: 0))
        #expect(try !gate.take(request(), within: 20))
    }

    @Test func onePlaceStaysFreeForWhoeverAsksNext() throws {
        let gate = try gate(places: 4)
        let ride = Ride(gate, places: 4)
        #expect(ride.next() == nil)
        for _ in 0..<3 { #expect(try gate.take(request(), within: 0)) }
        #expect(try !gate.take(request(), within: 0))
        #expect(ride.add(entry(1)))
        #expect(ride.next() == 1)
        #expect(ride.carousel.takenPlaces == 4)
        // The place that comes free next is for whoever asks next.
        try gate.giveBack(request())
        #expect(ride.next() == nil)
        #expect(try !gate.take(request(), within: 0))
        ride.carousel.remove(1)
        #expect(ride.next() == nil)
        #expect(try gate.take(request(), within: 0))
    }

    @Test func nothingBeginsWhileAnybodyWaits() throws {
        let gate = try gate(places: 2)
        let ride = Ride(gate, places: 2)
        _ = ride.next()
        #expect(try gate.take(request(), within: 0))
        #expect(ride.add(entry(1, places: 2)))
        #expect(ride.next() == nil)
        try gate.giveBack(request())
        #expect(try !gate.take(request(), within: 0))
        #expect(ride.next() == 1)
        #expect(try !gate.take(request(), within: 0))
    }

    @Test func aRequestThatNeedsAllPlacesBeginsWhereNobodyElseIs() throws {
        let gate = try gate(places: 2)
        let ride = Ride(gate, places: 2)
        _ = ride.next()
        #expect(try gate.take(request(samples: 5), within: 0))
        #expect(try !gate.take(request(), within: 0))
        try gate.giveBack(request(samples: 5))
        #expect(ride.add(entry(1)))
        #expect(ride.next() == 1)
        #expect(try !gate.take(request(samples: 5), within: 0))
    }

    @Test func theOnePlaceOfASmallServerIsTheBatchsWhileNobodyAsks() throws {
        let gate = try gate(places: 1)
        let ride = Ride(gate, places: 1)
        _ = ride.next()
        #expect(try gate.take(request(), within: 0))
        #expect(ride.add(entry(1)))
        #expect(ride.next() == nil)
        try gate.giveBack(request())
        #expect(ride.next() == 1)
        #expect(try !gate.take(request(), within: 0))
    }

    @Test func whoeverWaitsIsToldOfPlacesThatComeFree() throws {
        let calls = Counter()
        let gate = try gate(places: 2) { calls.add() }
        let ride = Ride(gate, places: 2)
        _ = ride.next()
        #expect(try gate.take(request(), within: 0))
        #expect(calls.count == 0)
        try gate.giveBack(request())
        #expect(calls.count == 1)
    }

    private final class Counter: Sendable {
        private let number = Mutex(0)
        var count: Int { number.withLock { $0 } }
        func add() { number.withLock { $0 += 1 } }
    }
}
