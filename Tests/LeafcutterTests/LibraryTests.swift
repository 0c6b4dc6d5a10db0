import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafStream
import LeafSystem
import Leafcutter
import Testing

/// A library leaves to the program what is the whole process's.
@Suite("Library in a process") struct LibraryTests {
    @Test func nobodyIsGuardedUnasked() {
        #expect(!ReadingOptions().guardsMapping)
        #expect(!ModelOptions().reading.guardsMapping)
        #expect(!ReadingOptions(mode: .map, mirror: "a", maxBytesPerSecond: 1).guardsMapping)
    }

    /// In a process of its own: nothing else there changes the handler.
    @Test func aModelLeavesTheHandlerOfSIGBUSAlone() async {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let path = directory.path("model.leaf")
            try Fixture.convert("ant-tiny-c", form: "hf", weights: .int8, to: path)
            func handler() -> Int {
                var action = sigaction()
                sigaction(SIGBUS, nil, &action)
                return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
            }
            var own = sigaction()
            own.__sigaction_handler.sa_handler = { _ in _exit(1) }
            for installs in [false, true] {
                if installs { sigaction(SIGBUS, &own, nil) }
                let before = handler()
                for mode in [IOMode.auto, .map] {
                    var options = ModelOptions(memory: .gibibytes(1), threads: 1, capacity: .init(context: 32))
                    options.reading.mode = mode
                    let model = try Model(ModelFile(path: path), options)
                    guard handler() == before else { exit(1) }
                    _ = try model.generate(.ids([6, 20]), .init(maxTokens: 2, seed: 1))
                    guard handler() == before else { exit(1) }
                }
            }
            // What is asked for is seen, so that the comparison says something.
            let before = handler()
            var options = ModelOptions(memory: .gibibytes(1), threads: 1, capacity: .init(context: 32))
            options.reading = ReadingOptions(mode: .map, guardsMapping: true)
            let model = try Model(ModelFile(path: path), options)
            guard handler() != before else { exit(2) }
            withExtendedLifetime((directory, model)) {}
        }
    }
}
