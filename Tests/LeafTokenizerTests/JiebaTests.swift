import Foundation
import GoldenSupport
import LeafTokenizer
import Testing

/// jieba itself, where the `python3` of the path has it (`pip install jieba==0.42.1`).
private enum Jieba {
    static let isHere = (try? run("import jieba; assert jieba.__version__ == '0.42.1'", input: "")) != nil

    /// Words of each text.
    static func words(_ texts: [String]) throws -> [[String]] {
        let program = """
            import json, logging, sys, jieba
            jieba.setLogLevel(logging.ERROR)
            texts = json.loads(sys.stdin.buffer.read())
            sys.stdout.write(json.dumps([jieba.lcut(text) for text in texts]))
            """
        let input = String(decoding: try JSONEncoder().encode(texts), as: UTF8.self)
        return try JSONDecoder().decode([[String]].self, from: Data(run(program, input: input).utf8))
    }

    private struct Failure: Error {}

    private static func run(_ program: String, input: String) throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try Data(input.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-c", program]
        process.standardInput = try FileHandle(forReadingFrom: file)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure() }
        return String(decoding: data, as: UTF8.self)
    }
}

@Suite struct JiebaTests {
    @Test(.enabled(if: Jieba.isHere, "python3 has no jieba 0.42.1"))
    func wordsOfRandomTextsEqualJieba() throws {
        var random = SeededGenerator()
        let texts = (0..<2000).map { _ in Self.text(using: &random) }
        for (text, words) in zip(texts, try Jieba.words(texts)) {
            #expect(
                Ant.tokenizer.words(text).map(scalars) == words.map(scalars),
                "seed \(random.seed): \(text.debugDescription)")
        }
    }

    /// A mixture of what jieba treats differently.
    private static func text(using random: inout SeededGenerator) -> String {
        let signs = [
            "，", "。", "—", "…", "\r\n", "\r", "\n", "\t", "\u{3000}", "\u{A0}", "\u{1C}", " ", "😀", "👩\u{200D}👧",
            "e\u{301}",
        ]
        let names = [
            "3.14%", "1.", ".5", "v2.0.1", "a.b", "C++", "c#", "AT&T", "T恤", "_x-1", "１２", "１.５", "\u{4DFF}",
            "\u{9FD6}",
        ]
        let sentences = Golden.recorded.cases.map { Array($0.text.unicodeScalars) }.filter { !$0.isEmpty }
        return (0..<Int.random(in: 1...12, using: &random)).map { _ in
            switch Int.random(in: 0..<6, using: &random) {
            case 0: return signs.randomElement(using: &random) ?? ""
            case 1: return names.randomElement(using: &random) ?? ""
            case 2: return String(Unicode.Scalar(UInt16.random(in: 0x4E00...0x9FD5, using: &random)) ?? "一")
            case 3: return String(Unicode.Scalar(UInt32.random(in: 1...0x10FFFF, using: &random)) ?? "x")
            default:
                let sentence = sentences.randomElement(using: &random) ?? []
                let start = Int.random(in: 0..<sentence.count, using: &random)
                let part = sentence[start...].prefix(Int.random(in: 1...12, using: &random))
                return String(String.UnicodeScalarView(part))
            }
        }.joined()
    }
}
