import LeafServer
import Testing

/// Whose turn it is.
@Suite struct CarouselTests {
    private func entry(_ number: Int, _ client: String, places: Int = 1, inBackground: Bool = false) -> Carousel.Entry {
        Carousel.Entry(number: number, client: client, places: places, isBackground: inBackground)
    }

    /// A carousel by reference, which macros can change.
    private final class Ride {
        var carousel: Carousel

        init(places: Int, capacity: Int) { carousel = Carousel(places: places, capacity: capacity) }

        func add(_ entry: Carousel.Entry) -> Bool { carousel.add(entry) }
        func next() -> Carousel.Entry? { carousel.next() }
        func remove(_ number: Int) { carousel.remove(number) }
    }

    /// The order in which requests begin when each one is over before the next begins.
    private func order(_ carousel: Ride) -> [Int] {
        var numbers: [Int] = []
        while let next = carousel.next() {
            numbers.append(next.number)
            carousel.remove(next.number)
        }
        return numbers
    }

    @Test func clientsTakeTurnsHoweverMuchOneOfThemAsks() {
        let carousel = Ride(places: 1, capacity: 100)
        for number in 0..<6 { #expect(carousel.add(entry(number, "a"))) }
        #expect(carousel.add(entry(10, "b")))
        #expect(carousel.add(entry(20, "c")))
        #expect(order(carousel) == [0, 10, 20, 1, 2, 3, 4, 5])
    }

    @Test func noMoreTextsAreOnASweepThanThereArePlaces() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let carousel = Ride(places: 8, capacity: 1000)
            var (begun, all): (Set<Int>, Set<Int>) = ([], [])
            for number in 0..<60 {
                let client = "\(UInt8.random(in: 0..<5, using: &generator))"
                let places = Int.random(in: 1...12, using: &generator)
                #expect(carousel.add(entry(number, client, places: places)))
                all.insert(number)
                while let next = carousel.next() { begun.insert(next.number) }
                #expect(carousel.carousel.takenPlaces <= 8)
                if Bool.random(using: &generator), let over = begun.randomElement(using: &generator) {
                    carousel.remove(over)
                }
            }
            while carousel.carousel.underWayCount + carousel.carousel.waitingCount > 0 {
                while let next = carousel.next() { begun.insert(next.number) }
                for number in begun { carousel.remove(number) }
            }
            #expect(begun == all)
        }
    }

    @Test func aRequestThatNeedsManyPlacesIsNotPassedForEver() {
        let carousel = Ride(places: 4, capacity: 1000)
        #expect(carousel.add(entry(0, "small")))
        #expect(carousel.next()?.number == 0)
        #expect(carousel.add(entry(1, "large", places: 4)))
        var (last, passes) = (0, 0)
        for number in 2..<100 {
            #expect(carousel.add(entry(number, "small")))
            // One is on the sweep at any time.
            guard let next = carousel.next() else { break }
            carousel.remove(last)
            last = next.number
            passes += 1
        }
        #expect((1...2 * Carousel.patience).contains(passes))
        carousel.remove(last)
        #expect(carousel.next()?.number == 1)
    }

    @Test func backgroundWorkBeginsWhereNobodyElseWaits() {
        let carousel = Ride(places: 1, capacity: 100)
        #expect(carousel.add(entry(0, "a", inBackground: true)))
        #expect(carousel.add(entry(1, "a")))
        #expect(carousel.add(entry(2, "b")))
        #expect(order(carousel) == [1, 2, 0])
    }

    @Test func oneClientCannotFillTheQueue() {
        let carousel = Ride(places: 1, capacity: 8)
        let taken = (0..<20).count { carousel.add(entry($0, "greedy")) }
        #expect(taken == 6)
        #expect(carousel.add(entry(30, "other")))
        #expect(!carousel.add(entry(31, "other")))
        #expect(carousel.add(entry(32, "third")))
        #expect(!carousel.add(entry(33, "fourth")))
    }

    @Test func whatIsRemovedWhileItWaitsNeverBegins() {
        let carousel = Ride(places: 1, capacity: 8)
        for number in 0..<4 { #expect(carousel.add(entry(number, "\(number % 2)"))) }
        carousel.remove(2)
        #expect(order(carousel) == [0, 1, 3])
        #expect(carousel.carousel.waitingCount == 0)
    }
}
