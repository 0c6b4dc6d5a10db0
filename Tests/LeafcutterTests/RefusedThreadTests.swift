import GoldenSupport
import Leafcutter
import Testing

@Suite("refused threads") struct RefusedThreadTests {
    /// Readers, the engine's thread, compute threads: whichever is the one too many.
    @Test(.timeLimit(.minutes(30)), arguments: 0..<6)
    func aModelThatCannotHaveItsThreadsIsNotOpened(started: Int) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "hf", weights: .int8, to: path)
        var options = ModelOptions(memory: .gibibytes(1), threads: 2, reading: .init(mode: .buffered))
        let file = try ModelFile(path: path)
        options.memory = .bytes(try Model.plan(file, options).minimum)
        let error = #expect(throws: LeafError.self) {
            _ = try Model(file, options, system: .real.starting(atMost: started))
        }
        #expect(error?.kind == .io && error?.exitCode == 1)
        #expect(error?.description.contains("thread") == true)
    }
}
