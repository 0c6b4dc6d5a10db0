import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafSynthesis
import LeafSystem
import Leafcutter
import Testing

@Suite("Synthesized models") struct SynthesizerTests {
    @Test(arguments: WeightFormat.allCases) func theSameSeedGivesTheSameBytes(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        func bytes(_ name: String, seed: UInt64, threads: Int) throws -> Data {
            let file = try Shapes.make(Shapes.large, name, in: directory) {
                $0.weights = weights
                $0.seed = seed
                $0.threads = threads
            }
            try file.verify()
            return try Shapes.bytes(file)
        }
        let expected = try bytes("a", seed: 5, threads: 1)
        for threads in [2, 3, 8] { #expect(try bytes("b\(threads)", seed: 5, threads: threads) == expected) }
        #expect(try bytes("c", seed: 6, threads: 2) != expected)
    }

    @Test func anInterruptedRunGoesOnToTheSameBytes() throws {
        let directory = try TemporaryDirectory()
        let small = try Shapes.make(Shapes.small, "small.leaf", in: directory)
        let expected = try Shapes.bytes(
            Shapes.make(Shapes.large, "whole.leaf", in: directory) { $0.smallModelPath = small.path })
        var options = SynthesisOptions()
        options.smallModelPath = small.path
        for limit in [0, 3, 4, 11, 28] {
            let path = directory.path("\(limit).leaf")
            let synthesizer = Synthesizer(name: "test", Shapes.large, output: path, options: options)
            var chunks = 0
            let error = failure {
                _ = try synthesizer.run(isCancelled: {
                    chunks += 1
                    return chunks > limit
                })
            }
            #expect(error?.kind == .cancelled)
            #expect(!FileManager.default.fileExists(atPath: path))
            let result = try synthesizer.run()
            #expect(result.blocksResumed > 0 || limit < 4)
            #expect(try Data(contentsOf: URL(filePath: path)) == expected)
        }
        // Another seed is another file.
        var chunks = 0
        let path = directory.path("other.leaf")
        _ = failure {
            _ = try Synthesizer(name: "test", Shapes.large, output: path, options: options).run(isCancelled: {
                chunks += 1
                return chunks > 20
            })
        }
        options.seed = 1
        let result = try Synthesizer(name: "test", Shapes.large, output: path, options: options).run()
        #expect(result.blocksResumed == 0)
        #expect(result.warnings.contains { $0.contains("dropped") })
    }

    @Test func aWriteThatFailsEndsTheRun() throws {
        let directory = try TemporaryDirectory()
        let error = failure {
            try Shapes.make(Shapes.large, "a.leaf", in: directory) {
                $0.calls.write = { descriptor, bytes, size, offset in
                    guard offset + size < 400_000 else {
                        errno = ENOSPC
                        return -1
                    }
                    return pwrite(descriptor, bytes, size, offset)
                }
            }
        }
        #expect(error?.kind == .io)
        #expect(error?.description.contains("run the same command again") == true)
    }

    /// A row of 4096 as quantization leaves one of normal numbers.
    @Test func int8RowsLookQuantized() throws {
        let directory = try TemporaryDirectory()
        let shape = Shapes.configuration(dimModel: 4096, heads: 1, dimHead: 64, dimFF: 350, layers: 1)
        let file = try Shapes.make(shape, "a.leaf", in: directory)
        var deviations: [Double] = []
        let name = TensorName.feedForwardMatrices(layer: 0)[0]
        let scales = try Shapes.floats(FileShape.scaleName(of: name), in: file)
        for row in 0..<350 {
            let numbers = try Shapes.row(row, of: name, in: file).map { Double($0) }
            #expect(numbers.map(\.magnitude).max() == 127)
            let variance = numbers.reduce(0) { $0 + $1 * $1 } / 4096
            let fourth = numbers.reduce(0) { $0 + $1 * $1 * $1 * $1 } / 4096
            // Of 4096 normal numbers: mean 0 +- 1/64, deviation +- 1/90, kurtosis 3 +- 0.08; five times that is
            // allowed.
            #expect(abs(numbers.reduce(0, +) / 4096) < 5 * variance.squareRoot() / 64)
            #expect(abs(variance.squareRoot() / (127 / 3.67) - 1) < 5.0 / 90)
            #expect(abs(fourth / (variance * variance) - 3) < 5 * 0.08)
            deviations.append(variance.squareRoot() * Double(scales[row]) * 64)
        }
        // Rows as the model sees them: about one before 1/sqrt(fan-in), and not all alike.
        #expect(abs(deviations.reduce(0, +) / 350 - 1) < 0.05)
        #expect((0.2...1.2).contains(deviations.max()! - deviations.min()!))

        // Padding holds nothing.
        let out = TensorName.feedForwardMatrices(layer: 0)[2]
        #expect(try Shapes.row(4095, of: out, in: file)[350...].allSatisfy { $0 == 0 })
        #expect(scales.count == 352 && scales[350...].allSatisfy { $0 == 0 })
        #expect(try Shapes.row(351, of: name, in: file).allSatisfy { $0 == 0 })
    }

    @Test func differentPlacesHoldDifferentNumbers() throws {
        let directory = try TemporaryDirectory()
        let file = try Shapes.make(Shapes.large, "a.leaf", in: directory)
        var seen: Set<[Int8]> = []
        var count = 0
        for matrix in file.matrices {
            for row in 0..<matrix.outputs {
                seen.insert(try Shapes.row(row, of: matrix.name, in: file))
                count += 1
            }
        }
        #expect(seen.count == count)
    }

    /// Activations keep their size through as many layers as the published models have.
    @Test(arguments: WeightFormat.allCases) func logitsOfADeepModelAreSane(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let shape = Shapes.configuration(dimModel: 128, heads: 2, dimHead: 64, dimFF: 320, layers: 48, tokens: 1000)
        let file = try Shapes.make(shape, "a.leaf", in: directory) { $0.weights = weights }
        let model = try Model(
            ModelFile(path: file.path), ModelOptions(memory: .gibibytes(1), threads: 2, capacity: .init(context: 60)))
        var rows: [[Double]] = []
        for ids in [[6, 20, 30, 40], [6, 21, 30, 40]] as [[Int32]] {
            try model.logits(of: [LogitsCase(id: "", inputIDs: ids)], lastOnly: true) {
                _, _, logits throws(LeafError) in rows.append(logits.map { Double($0) })
            }
        }
        for row in rows {
            let deviation = (row.reduce(0) { $0 + $1 * $1 } / Double(row.count)).squareRoot()
            #expect((1.0...8.0).contains(deviation))
        }
        #expect(rows[0] != rows[1])
    }

    @Test func aSmallVocabularyIsTheBeginningOfTheBundledOne() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("tiny.leaf")
        let result = try Synthesizer(.tiny, output: path).run()
        #expect(result.warnings == [])
        let file = try ModelFile(path: path)
        let bundled = try Tokenizer.bundled().vocabulary
        let tokens = try file.requireTokenizer().vocabulary
        #expect(tokens.count == 512)
        for id: Int32 in [0, 6, 511] { #expect(tokens.token(id) == bundled.token(id)) }
        #expect(file.leaf.configuration.dimFF == ModelPreset.tiny.configuration.dimFF)

        let large = Shapes.configuration(dimModel: 64, heads: 1, dimHead: 64, dimFF: 64, layers: 1, tokens: 30721)
        let other = try Synthesizer(
            name: "test", large, output: directory.path("large.leaf"), options: SynthesisOptions()
        ).run()
        #expect(other.warnings.count == 1)
        #expect(try ModelFile(path: other.output).tokenizer == nil)
    }
}
