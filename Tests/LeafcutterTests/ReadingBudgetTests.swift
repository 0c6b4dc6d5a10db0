import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafImport
import LeafStream
import LeafSystem
import Leafcutter
import Testing

/// What lies beside a model's weights is read only if the budget has room for what can become of it.
@Suite("Reading inside a budget") struct ReadingBudgetTests {
    /// Four mebibytes more than the program itself takes: enough for the small model.
    private static let budget = 32 << 20

    private let directory: TemporaryDirectory
    private let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("model.leaf")
        try Fixture.convert("ant-tiny-c", form: "cpm-live", weights: .int8, to: path)
    }

    /// A golden file whose header is half a mebibyte long, which nobody can know to be spaces before it is read.
    private func lengthened(_ name: String) throws -> String {
        let file = try Data(contentsOf: Golden.root.appending(path: "tuning/\(name)"))
        let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let wanted = 512 << 10
        var bytes = withUnsafeBytes(of: UInt64(wanted).littleEndian) { Data($0) }
        bytes += file[8..<9]
        bytes += Data(repeating: 0x20, count: wanted - length)
        bytes += file[9...]
        try bytes.write(to: URL(filePath: directory.path(name)))
        return directory.path(name)
    }

    /// A session of so many ids and nothing else.
    private func session(ids count: Int) throws -> Session {
        let output = try OutputFile(path: directory.path("a.session"))
        let writer = try SessionWriter(output)
        try writer.append(UInt32(0))
        try writer.append([Int32](repeating: 9, count: count))
        try writer.append(UInt64(1))
        try writer.append(UInt32(0))
        try writer.finish()
        return try Session(path: directory.path("a.session"))
    }

    private func expectSentence(_ error: LeafError?, _ what: String, sourceLocation: SourceLocation = #_sourceLocation)
    {
        #expect(error?.kind == .budget, sourceLocation: sourceLocation)
        let sentence = error?.description ?? ""
        #expect(
            sentence.contains("for \(what), where 32.0 MiB may be taken"), "\(sentence)",
            sourceLocation: sourceLocation)
    }

    /// Refused inside the small budget; taken inside the one that the refusal names, which the plan needs then, too.
    private func expectRefusal(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ read: (inout ModelFile) throws -> Void
    ) throws {
        var file = try ModelFile(path: path, memory: .bytes(Self.budget))
        let error = #expect(throws: LeafError.self, sourceLocation: sourceLocation) { try read(&file) }
        expectSentence(error, what, sourceLocation: sourceLocation)
        let advice = try #require(error?.advice)
        guard case .memory(let enough) = advice else {
            Issue.record("\(advice)", sourceLocation: sourceLocation)
            return
        }
        var roomy = try ModelFile(path: path, memory: .bytes(enough))
        let options = ModelOptions(memory: .bytes(.max), threads: 1, capacity: .init(context: 16))
        #expect(try Model.plan(roomy, options).minimum < Self.budget, sourceLocation: sourceLocation)
        try read(&roomy)
        #expect(try Model.plan(roomy, options).minimum > Self.budget, sourceLocation: sourceLocation)
    }

    @Test func anAdapterIsNotReadPastTheBudget() throws {
        let adapter = try lengthened("finetuned.safetensors")
        try expectRefusal("its header") { file in try file.addAdapter(path: adapter, alpha: 12) }
    }

    @Test func aSoftPromptIsNotReadPastTheBudget() throws {
        let prompt = try lengthened("prompt.safetensors")
        try expectRefusal("its header") { file in try file.addSoftPrompt(path: prompt) }
    }

    @Test func aSessionsPromptIsNotReadPastTheBudget() throws {
        let session = try session(ids: 1 << 20)
        try expectRefusal("its prompt") { file in
            let contents = try file.contents(of: session)
            #expect(contents?.promptIDs.count == 1 << 20)
        }
    }

    @Test func aLargeVocabularyIsNotReadPastTheBudget() throws {
        let words = (0..<300).map { "\($0)" + String(repeating: "x", count: 900) }.joined(separator: "\n")
        try Data(words.utf8).write(to: URL(filePath: directory.path("vocab.txt")))
        var options = ConversionOptions()
        options.vocabularyPath = directory.path("vocab.txt")
        let path = directory.path("words.leaf")
        _ = try Converter(source: Golden.model("ant-tiny-c/hf").path, output: path, options: options).run()
        let error = #expect(throws: LeafError.self) { try ModelFile(path: path, memory: .bytes(Self.budget)) }
        expectSentence(error, "its vocabulary")
        #expect(try ModelFile(path: path, memory: .bytes(128 << 20)).tokenizer != nil)
    }

    /// The prompt of a text is known, so nothing of a file is read that cannot be the same.
    @Test func aSessionOfOtherOptionsIsRefusedByNameHoweverLongTheyAre() throws {
        let file = try ModelFile(path: path)
        let model = try Model(
            file,
            ModelOptions(
                memory: .gibibytes(1), threads: 1, capacity: .init(context: 64), keepsSessions: true))
        let session = try Session(path: directory.path("b.session"))
        var options = GenerationOptions(decoding: .greedy, maxTokens: 2)
        for id in 100..<300 { options.logitBias[Int32(id)] = 1.5 }
        _ = try model.generate(.ids([6, 20]), options, session: session)
        options.logitBias = [:]
        let error = #expect(throws: LeafError.self) { try model.generate(.ids([6, 20]), options, session: session) }
        #expect(error?.kind == .usage)
        #expect(error?.description.contains("was begun with another logit-bias, this run has logit-bias") == true)
        #expect(error?.description.utf8.count ?? 0 < 500)
    }

    /// A model that keeps sessions has room for comparing a file's prompt with its own.
    @Test func thePlanCountsWhatSessionsTake() throws {
        let file = try ModelFile(path: path)
        func sessions(_ context: Int, keeps: Bool) throws -> Int {
            let options = ModelOptions(
                memory: .gibibytes(8), threads: 1, capacity: .init(context: context, rows: 64), keepsSessions: keeps)
            return try Model.plan(file, options).bytes(for: .sessions)
        }
        #expect(try sessions(1000, keeps: false) == 0)
        let few = try sessions(1000, keeps: true)
        #expect(few > SessionWriter.bufferBytes)
        #expect(try sessions(9000, keeps: true) - few == 8000 * MemoryLayout<Int32>.stride)
    }
}
