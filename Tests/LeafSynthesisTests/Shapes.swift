import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafSynthesis
import LeafSystem
import Leafcutter

/// Small shapes with room for all that differs between models.
enum Shapes {
    static func configuration(
        dimModel: Int, heads: Int, dimHead: Int, dimFF: Int, layers: Int, tokens: Int = 300
    ) -> ModelConfiguration {
        ModelConfiguration(
            vocabSize: tokens, dimModel: dimModel, numHeads: heads, dimHead: dimHead, dimFF: dimFF,
            layers: Array(repeating: .init(hasAttention: true, hasFeedForward: true), count: layers),
            positionBiasNumBuckets: 32, positionBiasMaxDistance: 128, promptTypes: 3, promptLength: 4, segmentTypes: 3)
    }

    static let small = configuration(dimModel: 128, heads: 4, dimHead: 32, dimFF: 256, layers: 2)
    static let large = configuration(dimModel: 512, heads: 8, dimHead: 64, dimFF: 600, layers: 4, tokens: 333)

    /// Makes a model in `directory`.
    @discardableResult static func make(
        _ configuration: ModelConfiguration, _ name: String, in directory: TemporaryDirectory,
        _ change: (inout SynthesisOptions) -> Void = { _ in }
    ) throws -> LeafFile {
        var options = SynthesisOptions()
        // No test pulls the plug here; waiting for the disk would only take time.
        options.calls.synchronize = { _ in 0 }
        change(&options)
        let path = directory.path(name)
        _ = try Synthesizer(name: "test", configuration, output: path, options: options).run()
        return try LeafFile.open(path: path)
    }

    static func bytes(_ file: LeafFile) throws -> Data { try Data(contentsOf: URL(filePath: file.path)) }

    /// Row `row` of an int8 matrix, read from its tile the plainest way.
    static func row(_ row: Int, of name: String, in file: LeafFile) throws -> [Int8] {
        let matrix = file.matrices.first { $0.name == name }!
        let chunk = file.chunks[matrix.chunks].first { $0.firstOutput..<$0.firstOutput + $0.outputCount ~= row }!
        let bytes = try InputFile(path: file.path).bytes(at: chunk.offset, count: chunk.rawBytes)
        let tile = (row - chunk.firstOutput) / 16 * 16 * matrix.storedColumns
        return (0..<matrix.storedColumns).map {
            Int8(bitPattern: bytes[tile + $0 / 4 * 64 + row % 16 * 4 + $0 % 4])
        }
    }

    static func floats(_ name: String, in file: LeafFile) throws -> [Float] {
        let tensor = file.tensor(name)!
        let bytes = try InputFile(path: file.path).bytes(at: tensor.offset, count: tensor.byteCount)
        return bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}
