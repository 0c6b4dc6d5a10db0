import CPMAntShape
import LeafFormat
import LeafGeneration
import LeafSystem
import Testing

@Suite struct GenerationOptionsTests {
    private let configuration = ModelConfiguration(
        vocabSize: 300, dimModel: 48, numHeads: 3, dimHead: 32, dimFF: 100, layers: [], promptTypes: 4,
        promptLength: 8, segmentTypes: 8)

    private func refusal(_ change: (inout GenerationOptions) -> Void) -> LeafError? {
        var options = GenerationOptions()
        change(&options)
        do throws(LeafError) {
            try options.validate(for: configuration)
            return nil
        } catch {
            return error
        }
    }

    @Test func defaultsAreValid() {
        #expect(refusal { _ in } == nil)
    }

    @Test func senselessNumbersAreRefusedByName() {
        let wrong: [(String, (inout GenerationOptions) -> Void)] = [
            ("max-tokens", { $0.maxTokens = 0 }),
            ("max-tokens", { $0.maxTokens = .max }),
            ("stop strings", { $0.stop = Array(repeating: "z", count: 65) }),
            ("stop strings", { $0.stop = [String(repeating: "天", count: 2000)] }),
            ("temperature", { $0.temperature = 0 }),
            ("temperature", { $0.temperature = .nan }),
            ("top-p", { $0.topP = 7 }),
            ("top-p", { $0.topP = -0.1 }),
            ("top-p", { $0.topP = .nan }),
            ("top-k", { $0.topK = -1 }),
            ("min-p", { $0.minP = 1.5 }),
            ("repetition-penalty", { $0.repetitionPenalty = 0.5 }),
            ("repetition-penalty", { $0.repetitionPenalty = .infinity }),
            ("repetition-window", { $0.repetitionWindow = 0 }),
            ("eos-id", { $0.eosID = 300 }),
            ("eos-id", { $0.eosID = -1 }),
            ("stop", { $0.stop = ["a", ""] }),
            ("task", { $0.task = 4 }),
            ("segment", { $0.segment = -1 }),
            ("logprobs", { $0.logprobs = -1 }),
            ("frequency-penalty", { $0.frequencyPenalty = 101 }),
            ("presence-penalty", { $0.presencePenalty = .nan }),
            ("no-repeat-ngram", { $0.noRepeatNgram = -1 }),
            ("logit-bias", { $0.logitBias = [-1: 1] }),
            ("logit-bias", { $0.logitBias = [300: 1] }),
            ("logit-bias", { $0.logitBias = [3: -.infinity] }),
            ("length-penalty", { $0.lengthPenalty = 11 }),
            ("beams", { $0.decoding = .beams(0) }),
            ("beams", { $0.decoding = .beams(151) }),
            ("logprobs", { ($0.decoding, $0.logprobs) = (.beams(2), 1) }),
        ]
        for (name, change) in wrong {
            let error = refusal(change)
            #expect(error?.kind == .usage)
            #expect(error?.description.contains(name) == true, "\(name): \(error?.description ?? "accepted")")
        }
    }
}
