import Foundation
import GoldenSupport
import LeafStream
import LeafSystem
import Leafcutter
import Testing

/// The watch on a machine and a clock that the tests move.
@Suite("pressure watch") struct PressureWatchTests {
    private final class Machine: @unchecked Sendable {
        private let lock = NSLock()
        private var reading = MemoryPressure.Reading(roomBytes: 1 << 30, stalledPercent: 0)
        private var look: (@Sendable () -> Void)?

        func clock(_ look: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
            lock.withLock { self.look = look }
            return { [self] in lock.withLock { self.look = nil } }
        }
        func read() -> MemoryPressure.Reading { lock.withLock { reading } }

        /// So many seconds pass with so much room.
        func pass(_ seconds: Int, room: Int) {
            lock.withLock { reading.roomBytes = room }
            for _ in 0..<seconds { lock.withLock { look }?() }
        }
        var isWatched: Bool { lock.withLock { look != nil } }
    }

    private static let reserve = 1 << 20
    private let machine = Machine()
    private let model: Model
    private let all: Int
    private var store: BlockStore { model.engine.store }

    init() throws {
        let folder = try TemporaryDirectory()
        model = try Model(Fixture.demo(in: folder), ModelOptions(memory: .gibibytes(1), threads: 1))
        all = model.pinnedBytes
    }

    private func watch() throws -> PressureWatch {
        try PressureWatch(store, reserveBytes: Self.reserve, clock: machine.clock, read: machine.read)
    }

    @Test func whatTheProgramAskedForIsNotUndone() throws {
        let watch = try watch()
        defer { withExtendedLifetime(watch) {} }
        model.pinnedBytes = all / 4
        machine.pass(100, room: 1 << 30)
        #expect(model.pinnedBytes == all / 4 && store.allowedPinnedBytes == all / 4)
        model.pinnedBytes = all
        #expect(store.allowedPinnedBytes == all)
    }

    @Test func pressureTakesAndGivesBackUpToWhatWasAskedFor() throws {
        let watch = try watch()
        defer { withExtendedLifetime(watch) {} }
        model.pinnedBytes = all / 2
        machine.pass(1, room: 0)
        #expect(model.pinnedBytes == all / 2 && store.allowedPinnedBytes == all / 2 - Self.reserve)
        machine.pass(1, room: 0)
        #expect(store.allowedPinnedBytes == all / 2 - 2 * Self.reserve)
        // Asking for more does not help while others need it.
        model.pinnedBytes = all
        #expect(store.allowedPinnedBytes == all / 2 - 2 * Self.reserve)
        model.pinnedBytes = all / 2
        machine.pass(5, room: 1 << 30)
        #expect(store.allowedPinnedBytes == all / 2)
    }

    @Test func itLooksNoMoreWhenItIsGone() throws {
        do {
            let watch = try watch()
            withExtendedLifetime(watch) { #expect(machine.isWatched) }
        }
        #expect(!machine.isWatched)
    }
}
