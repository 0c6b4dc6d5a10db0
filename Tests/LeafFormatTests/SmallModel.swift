import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem

/// A small model of random bytes, written by the writer itself.
struct SmallModel {
    static let configuration = ModelConfiguration(
        vocabSize: 70, dimModel: 80, numHeads: 2, dimHead: 24, dimFF: 100,
        layers: [
            .init(hasAttention: true, hasFeedForward: true), .init(hasAttention: false, hasFeedForward: true),
            .init(hasAttention: true, hasFeedForward: false),
        ], positionBiasNumBuckets: 8, positionBiasMaxDistance: 32, promptTypes: 2, promptLength: 4, segmentTypes: 3,
        isScaleFolded: true)

    var contents: LeafWriter.Contents
    var options = LeafWriter.Options()
    private let seed: UInt64

    init(_ weights: WeightFormat = .int8, seed: UInt64 = 1) {
        self.seed = seed
        // No test here pulls the plug; waiting for the disk would only take time.
        options.calls.synchronize = { _ in 0 }
        contents = try! LeafWriter.Contents(
            configuration: Self.configuration, weights: weights, vocabulary: Array("a\nb\n".utf8),
            dictionary: [UInt8](repeating: 7, count: 3000), metadata: [("software", "a \"test\" \\ of\u{1} writing")])
    }

    /// Writes the file, or goes on with it.
    ///
    /// - Parameter spoil: writes what does not belong there before the file is finished.
    @discardableResult
    func write(to path: String, spoil: (LeafWriter) throws -> Void = { _ in }) throws -> LeafFile {
        let writer = try LeafWriter(path: path, contents: contents, fingerprint: "small", options: options)
        for tensor in writer.layout.shape.residentTensors where !tensor.name.hasSuffix(".scale") {
            var generator = SeededGenerator(seed: seed ^ UInt64(tensor.name.utf8.count))
            let count = tensor.shape.reduce(tensor.type.byteCount, *)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...60, using: &generator) }
            try bytes.withUnsafeBytes { try writer.write(tensor.name, $0) }
        }
        while writer.completedBlocks < writer.layout.shape.blocks.count {
            let block = writer.completedBlocks
            for (number, matrix) in writer.layout.shape.blocks[block].matrices.enumerated() {
                writer.beginMatrix()
                let geometry = ChunkGeometry(matrix)
                var generator = SeededGenerator(seed: seed &+ UInt64(block * 8 + number))
                for index in 0..<geometry.chunkCount {
                    let rows = geometry.outputs(ofChunk: index)
                    // Every third matrix shrinks.
                    let most: UInt8 = number % 3 == 2 ? 1 : 255
                    let bytes = (0..<geometry.bytes(outputs: rows.count)).map { _ in
                        UInt8.random(in: 0...most, using: &generator)
                    }
                    try bytes.withUnsafeBytes { try writer.append(chunk: $0, outputCount: rows.count) }
                    guard contents.weights == .int8 else { continue }
                    let scales = [Float](repeating: Float(block + 1), count: rows.count)
                    try scales.withUnsafeBytes {
                        try writer.write(FileShape.scaleName(of: matrix.name), $0, at: rows.lowerBound * 4)
                    }
                }
            }
            try writer.endBlock(sourceDigest: UInt64(block))
        }
        try spoil(writer)
        return try writer.finish()
    }
}
