import GoldenSupport
import LeafExecutor
import LeafGeneration
import Leafcutter
import Testing

/// What a run's last line divides by its time: rows and weights, as far as they came.
@Suite struct WorkTests {
    @Test func rowsAndWeightsAreCountedOnTheSweepsThatTheyRode() throws {
        let directory = try TemporaryDirectory()
        let file = try Fixture.tiny(in: directory)
        let model = try Model(
            file, ModelOptions(memory: .gibibytes(1), threads: 2, capacity: Demand(context: 200, sequences: 2)))
        #expect(model.rowPasses == 0 && model.passes(of: model.counters) == 0)
        let options = GenerationOptions(maxTokens: 20, seed: 1, eosID: 0)
        let prompt = Prompt.ids([6, 20, 30])
        let generation = try model.generate(prompt, options)
        // The prompt's sweep gives the first token.
        let rows = try file.rows(of: prompt, options).length(in: file.configuration)
        #expect(generation.newTokens == 20)
        #expect(model.rowPasses == Double(rows + 19))
        #expect(model.passes(of: model.counters) == 20)
    }
}
