import LeafGeneration
import LeafWire

/// What a request to continue texts comes to: the parts that the model carries out, and what they are for.
struct CompletionPlan: Sendable {
    /// One prompt.
    struct Prompt: Sendable {
        /// As the model sees it, `<s>` first.
        let ids: [Int32]
        /// In front of the answer, where it is wanted.
        let echo: EchoedPrompt?
        /// Parts that score it, and the one that goes on from it; nil where nothing is generated.
        var echoParts: Range<Int>
        var textPart: Int?
    }

    enum Role: Sendable {
        case echo(prompt: Int)
        case text(prompt: Int)

        /// The number of the prompt.
        var prompt: Int {
            switch self {
            case .echo(let prompt), .text(let prompt): prompt
            }
        }
    }

    var prompts: [Prompt] = []
    var parts: [AnyRequest] = []
    /// What each part is for.
    var roles: [Role] = []
    /// Characters of the prompts that the vocabulary lacks.
    var unknown = 0
    /// Texts of each prompt, and how many of them, the best ones, are given.
    let samples: Int
    let choices: Int
    let form: OpenAIForm
    let writer: CompletionWriter

    /// - Parameter text: goes on from the prompt.
    mutating func add(
        _ ids: [Int32], echo: EchoedPrompt?, scoring: [EchoRequest], text: AnyRequest?
    ) {
        let number = prompts.count
        let first = parts.count
        for request in scoring {
            parts.append(.echo(request))
            roles.append(.echo(prompt: number))
        }
        var prompt = Prompt(ids: ids, echo: echo, echoParts: first..<parts.count, textPart: nil)
        if let text {
            prompt.textPart = parts.count
            parts.append(text)
            roles.append(.text(prompt: number))
        }
        prompts.append(prompt)
    }
}

/// The texts of a prompt, whatever they come from.
struct CompletionTexts {
    let samples: [Generation.Sample]
    /// Those of texts that are not given included.
    let completionTokens: Int

    /// - Parameter choices: the best of them by the mean log-probability of a token; all of them in their order, if
    ///   there are no more.
    init(_ generation: Generation, choices: Int) {
        completionTokens = generation.completionTokens
        let all = generation.samples
        guard choices < all.count else {
            samples = all
            return
        }
        let means = all.map { sample in
            sample.logprobs.isEmpty
                ? -Double.infinity
                : sample.logprobs.reduce(0) { $0 + $1.chosen.logprob } / Double(sample.logprobs.count)
        }
        let order = all.indices.sorted { (means[$1], $0) < (means[$0], $1) }
        samples = order.prefix(choices).map { all[$0] }
    }

    /// What is there where nothing was generated.
    init(emptyTexts count: Int) {
        completionTokens = 0
        samples = Array(
            repeating: Generation.Sample(ids: [], text: "", finishReason: .length, logprobs: [], score: nil),
            count: count)
    }
}
