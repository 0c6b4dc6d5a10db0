import CPMAntShape
import LeafEvaluation
import LeafFormat
import LeafGeneration
import LeafSystem
import LeafTokenizer
import Testing

/// What a model is asked for an item; ids by CPM-Live's `examples/infer.py`.
@Suite struct TaskTests {
    private let tokenizer: Tokenizer
    private let configuration = ModelPreset.cpmAnt300M.configuration
    /// CPM-Ant's ids of `[是否正确]`, and of `是`.
    private static let question: [Int32] = [70, 20000, 21151, 72]
    private static let yes: Int32 = 1729

    init() throws { tokenizer = try Tokenizer.bundled() }

    private func form(_ task: some EvaluationTask, maxLength: Int?, maxTokens: Int = 1) throws -> EvaluationForm {
        var options = GenerationOptions(decoding: .beams(3), maxTokens: maxTokens, task: 1, segment: 2)
        options.seed = 1
        return try EvaluationForm(
            tokenizer: tokenizer, options: options, maxLength: maxLength, generates: task.maxTokens != nil,
            for: configuration
        ) { [configuration] ids throws(LeafError) in
            try PromptRows(ids: ids, task: 1, segment: 2, for: configuration)
        }
    }

    private func task<Task: EvaluationTask>(_ name: String, _ type: Task.Type) throws -> Task {
        try #require(EvaluationTasks.named(name) as? Task)
    }

    @Test func limitsAreThoseOfTheReference() {
        let expected: [(String, Int, Int?)] = [
            ("CCPM", 256, 1), ("C3", 1024, nil), ("Sogou-Log", 256, nil), ("LCSTS", 256, 50), ("KdConv", 1500, 50),
            ("Math23K", 256, 32),
        ]
        #expect(EvaluationTasks.all.map(\.name) == expected.map(\.0))
        for (name, length, tokens) in expected {
            let task = EvaluationTasks.named(name.lowercased())
            #expect(task?.maxLength == length && task?.maxTokens == tokens)
        }
    }

    @Test func optionsAreJudgedOneByOne() throws {
        let task = try task("C3", ChoiceTask.self)
        let item = try item(ChoiceTask.Item.self, ["input": .text("今天天气真好！"), "options": .texts(["是", "\t"])])
        let texts = try task.texts(of: item, in: form(task, maxLength: 1024))
        // Unknown characters are kept here.
        let input: [Int32] = [6, 9802, 14962, 2082, 831, 244]
        #expect(texts.requests.map(\.context.ids) == [input + [Self.yes] + Self.question, input + [1] + Self.question])
        #expect(texts.requests.allSatisfy { $0.target == [Self.yes] && $0.context.task == 1 })
        #expect(!texts.isCut)
        #expect(ChoiceTask.Output(scores: [3, 5, 5]).choice == 1)
    }

    @Test func inputsAreRankedByTheSameJudgement() throws {
        let task = try task("Sogou-Log", RankTask.self)
        let texts = try task.texts(
            of: item(RankTask.Item.self, ["input": .text("你好 世界")]), in: form(task, maxLength: nil))
        #expect(texts.requests.map(\.context.ids) == [[6, 10272, 5, 8661] + Self.question])
    }

    @Test func generationDropsWhatTheVocabularyLacks() throws {
        let task = try task("LCSTS", GenerationTask.self)
        let texts = try task.texts(
            of: item(GenerationTask.Item.self, ["input": .text("今天\t天气真好！")]), in: form(task, maxLength: nil))
        #expect(texts.requests.map(\.prompt.ids) == [[6, 9802, 14962, 2082, 831, 244]])
        #expect(texts.requests[0].options.decoding == .beams(3))
    }

    /// As in tuning: the tail stays, `<s>` goes.
    @Test func theBeginningOfALongInputIsCutAway() throws {
        let choice = try task("C3", ChoiceTask.self)
        let long = try item(
            ChoiceTask.Item.self, ["input": .text("今天天气真好！"), "options": .texts(["是", "今天天气"])])
        let texts = try choice.texts(of: long, in: form(choice, maxLength: 32 + 7))
        #expect(texts.requests[0].context.ids == [831, 244, Self.yes] + Self.question)
        #expect(texts.requests.allSatisfy { $0.context.ids.count == 7 })
        #expect(texts.isCut)

        // Soft prompt, target and its end take 32 + 2 + 1.
        let generation = try task("CCPM", GenerationTask.self)
        let input = try item(GenerationTask.Item.self, ["input": .text("今天天气真好！")])
        for (room, isCut) in [(6, false), (5, true), (1, true)] {
            let texts = try generation.texts(
                of: input, in: form(generation, maxLength: 35 + room, maxTokens: 2))
            #expect(texts.requests[0].prompt.ids == Array([6, 9802, 14962, 2082, 831, 244].suffix(room)))
            #expect(texts.isCut == isCut)
        }
        #expect(throws: LeafError.self) { try form(generation, maxLength: 35, maxTokens: 2) }
    }

    @Test func itemsThatMakeNoSenseAreRefused() throws {
        let choice = try task("C3", ChoiceTask.self)
        let form = try form(choice, maxLength: nil)
        for target in [-1, 2] {
            let wrong = try item(
                ChoiceTask.Item.self, ["input": .text("好"), "options": .texts(["一", "二"]), "target": .number(target)])
            #expect(throws: LeafError.self) { try choice.texts(of: wrong, in: form) }
        }
        let none = try item(ChoiceTask.Item.self, ["input": .text("好"), "options": .texts([])])
        #expect(throws: LeafError.self) { try choice.texts(of: none, in: form) }
        let rank = try task("Sogou-Log", RankTask.self)
        for fields in [
            ["input": .text("好"), "target": .number(1)],
            ["input": .text("好"), "query": .text("q"), "target": .number(-1)],
        ] as [[String: Field]] {
            let wrong = try item(RankTask.Item.self, fields)
            #expect(throws: LeafError.self) { try rank.texts(of: wrong, in: form) }
        }
    }
}
