// How far int8 weights move the logits: each golden model and the demo model against their own float32 conversion.
//
//     swift run -c release --package-path Benchmarks accuracy
import Foundation
import Leafcutter

@main struct Accuracy {
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    static func main() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("leafcutter-accuracy")
        try? FileManager.default.removeItem(at: directory)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }

        print(
            "| model | activations | max abs logit | rms / std | mean KL (nats) | max KL | top-1 the same | largest top-2 gap at a change |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for name in ["ant-tiny-a", "ant-tiny-b", "ant-tiny-c", "demo-model"] {
            let source =
                name == "demo-model"
                ? repository.appendingPathComponent("Examples/demo-model")
                : repository.appendingPathComponent("Tests/Golden/models/\(name)/hf")
            let exact = try convert(source, .float32, in: directory, name)
            let int8 = try convert(source, .int8, in: directory, name)
            let cases = try texts(exact.configuration)
            let reference = try logits(exact, cases, .int16)
            for activations in ActivationPrecision.allCases {
                let mine = try logits(int8, cases, activations)
                print("| \(name) | \(activations) | \(Comparison(reference, mine).row) |")
            }
        }
        try perplexities(directory)
    }

    static func convert(_ source: URL, _ weights: WeightFormat, in directory: URL, _ name: String) throws -> ModelFile {
        let path = directory.appendingPathComponent("\(name)-\(weights.rawValue).leaf").path
        var options = ConversionOptions()
        options.weights = weights
        _ = try Converter(source: source.path, output: path, options: options).run()
        return try ModelFile(path: path)
    }

    /// 24 texts of 24 random tokens, the same for every run.
    static func texts(_ configuration: ModelConfiguration) throws -> [LogitsCase] {
        var state: UInt64 = 1
        func next(below count: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % count
        }
        return (0..<24).map { text in
            LogitsCase(
                id: "\(text)", inputIDs: [6] + (0..<23).map { _ in Int32(8 + next(below: configuration.vocabSize - 8)) }
            )
        }
    }

    static func logits(_ file: ModelFile, _ cases: [LogitsCase], _ activations: ActivationPrecision) throws -> [[Float]]
    {
        let model = try Model(
            file,
            ModelOptions(
                memory: .gibibytes(1), activations: activations,
                capacity: .init(context: cases.map { $0.rowCount(in: file.configuration) }.max() ?? 1, logitRows: 200)))
        var rows: [[Float]] = []
        try model.logits(of: cases) { _, _, row throws(LeafError) in rows.append(Array(row)) }
        return rows
    }

    /// Perplexity of the demo model's example texts, every token after `<s>` predicted from those before it.
    static func perplexities(_ directory: URL) throws {
        struct Examples: Decodable {
            struct Example: Decodable { let text: String }
            let generation: [Example]
        }
        let source = repository.appendingPathComponent("Examples/demo-model")
        let examples = try JSONDecoder().decode(
            Examples.self, from: Data(contentsOf: source.appendingPathComponent("examples.json")))
        print("\n| demo model, its \(examples.generation.count) example texts | perplexity a token |\n| --- | --- |")
        for (weights, activations) in [
            (WeightFormat.float16, ActivationPrecision.int16), (.int8, .int16), (.int8, .int8),
        ] {
            let file = try convert(source, weights, in: directory, "perplexity-\(weights)-\(activations)")
            let configuration = file.configuration
            let tokenizer = try file.requireTokenizer()
            let texts = examples.generation.map { [6] + tokenizer.encode($0.text) + [7] }
            let cases = texts.map { ids in
                let prompt = (0..<configuration.promptLength).map { Int32(2 * configuration.promptLength + $0) }
                let soft = Array(repeating: 1, count: prompt.count)
                return LogitsCase(
                    id: "", input: prompt + ids, length: ids.count,
                    context: soft + [1] + Array(repeating: 0, count: ids.count - 1),
                    segment: Array(repeating: 0, count: prompt.count) + Array(repeating: 2, count: ids.count),
                    span: Array(repeating: 0, count: prompt.count + ids.count))
            }
            let rows = try logits(file, cases, activations)
            var row = 0
            var loss = 0.0
            var count = 0
            for ids in texts {
                for index in ids.indices {
                    if index + 1 < ids.count {
                        loss -= Comparison.logSoftmax(rows[row])[Int(ids[index + 1])]
                        count += 1
                    }
                    row += 1
                }
            }
            let name = weights == .int8 ? "int8 weights, \(activations) activations" : "float16 weights"
            print("| \(name) | \(String(format: "%.4f", exp(loss / Double(count)))) |")
        }
    }
}

/// Rows of logits against the same rows computed exactly.
struct Comparison {
    let row: String

    init(_ reference: [[Float]], _ mine: [[Float]]) {
        var largest = 0.0
        var squares = 0.0
        var sum = 0.0
        var sumOfSquares = 0.0
        var count = 0.0
        var divergences: [Double] = []
        var same = 0
        var widestGap = 0.0
        for (exact, other) in zip(reference, mine) {
            for (a, b) in zip(exact, other) {
                let difference = Double(a) - Double(b)
                largest = max(largest, abs(difference))
                squares += difference * difference
                sum += Double(a)
                sumOfSquares += Double(a) * Double(a)
                count += 1
            }
            let p = Self.logSoftmax(exact)
            let q = Self.logSoftmax(other)
            divergences.append(zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) })
            let order = exact.indices.sorted { exact[$0] > exact[$1] }
            if other.indices.max(by: { other[$0] < other[$1] }) == order[0] {
                same += 1
            } else {
                widestGap = max(widestGap, Double(exact[order[0]] - exact[order[1]]))
            }
        }
        let deviation = (sumOfSquares / count - (sum / count) * (sum / count)).squareRoot()
        row = String(
            format: "%.2f | %.4f | %.5f | %.4f | %.1f %% | %.2f", largest, (squares / count).squareRoot() / deviation,
            divergences.reduce(0, +) / Double(divergences.count), divergences.max() ?? 0,
            100 * Double(same) / Double(reference.count), widestGap)
    }

    static func logSoftmax(_ logits: [Float]) -> [Double] {
        let largest = Double(logits.max() ?? 0)
        let sum = logits.reduce(0) { $0 + exp(Double($1) - largest) }
        return logits.map { Double($0) - largest - log(sum) }
    }
}
