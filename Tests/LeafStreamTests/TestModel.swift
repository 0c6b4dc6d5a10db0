import Foundation
import GoldenSupport
import LeafFormat
import LeafStream
import LeafSystem

/// A file of random chunks with a table, as `BlockStore` wants it; deleted at the end.
final class TestModel: Sendable {
    let file: LeafFile
    /// Each chunk's unpacked bytes.
    let contents: [[UInt8]]

    /// - Parameters:
    ///   - sizes: unpacked bytes of each chunk.
    ///   - packed: which chunks are lz4.
    init(sizes: [Int], packed: Set<Int> = [], seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let path = NSTemporaryDirectory() + "leafstream-\(UUID().uuidString).leaf"
        var bytes = [UInt8](repeating: 0xEE, count: 4096)
        var chunks: [Chunk] = []
        var contents: [[UInt8]] = []
        for (index, size) in sizes.enumerated() {
            let isPacked = packed.contains(index)
            let content = Self.content(size, isPacked ? UInt8(index & 7) : nil, &random)
            var stored = content
            var codec = ChunkCodec.raw
            // A chunk of a few bytes does not shrink.
            if isPacked, let packed = Self.packed(content) { (stored, codec) = (packed, .lz4) }
            let storedBytes = stored.count
            stored += [UInt8](repeating: 0, count: (4096 - storedBytes % 4096) % 4096)
            chunks.append(
                Chunk(
                    matrix: index / 4, firstOutput: index % 4 * 16, outputCount: 16, offset: bytes.count,
                    storedBytes: storedBytes,
                    rawBytes: size, codec: codec, digest: ChunkDigest.of(stored)))
            bytes += stored
            contents.append(content)
        }
        let matrices = stride(from: 0, to: sizes.count, by: 4).map { first in
            Matrix(
                shape: FileShape.Matrix(
                    name: "encoder.layers.\(first / 4).ffn.w_out", outputs: 64, columns: 64, layout: .int8),
                chunks: first..<min(first + 4, sizes.count))
        }
        let blocks = matrices.indices.map {
            Block(name: "layer \($0), feed-forward", matrices: $0..<$0 + 1, chunks: matrices[$0].chunks)
        }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        file = LeafFile(
            path: path, fileBytes: bytes.count,
            weights: .int8, tensors: [], blocks: blocks, matrices: matrices, chunks: chunks, regions: [])
        self.contents = contents
    }

    /// Random bytes, or two of sixteen random and the others `filler`.
    private static func content(_ size: Int, _ filler: UInt8?, _ random: inout SeededGenerator) -> [UInt8] {
        var words = (0..<(size + 7) / 8).map { _ in random.next() }
        if let filler {
            let rest = UInt64(filler) &* 0x0101_0101_0101_0101
            for index in words.indices { words[index] = index % 2 == 0 ? words[index] & 0xFFFF | rest << 16 : rest }
        }
        return words.withUnsafeBytes { Array($0.prefix(size)) }
    }

    deinit { unlink(file.path) }

    func isRight(_ lease: borrowing ChunkLease) -> Bool { lease.bytes.hold(contents[lease.chunk]) }

    private static func packed(_ content: [UInt8]) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: content.count)
        let count = content.withUnsafeBytes { from in
            room.withUnsafeMutableBytes { LZ4Codec.compress(from, into: $0) }
        }
        return count.map { Array(room[..<$0]) }
    }

    /// Sizes like a model's: mostly equal, some smaller.
    static func sizes(count: Int, largest: Int, seed: UInt64) -> [Int] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            Bool.random(using: &random) ? largest : Int.random(in: 1...largest, using: &random)
        }
    }
}

extension BlockStore {
    /// Leases a chunk for a moment; whether it has the right bytes.
    func gives(_ chunk: Int, of model: TestModel, to consumer: Int = 0) throws(LeafError) -> Bool {
        model.isRight(try lease(chunk, consumer: consumer))
    }
}

extension RawSpan {
    /// Compares quickly also in a debug build under a sanitizer.
    func hold(_ expected: [UInt8]) -> Bool {
        withUnsafeBytes { bytes in
            bytes.count == expected.count
                && expected.withUnsafeBytes { memcmp(bytes.baseAddress!, $0.baseAddress!, bytes.count) == 0 }
        }
    }
}

extension SystemCalls {
    /// This machine's calls, with direct reads also where the folder for temporary files does not have them.
    static let here: SystemCalls = {
        var calls = SystemCalls.real
        calls.open = { path, direct in
            let descriptor = SystemCalls.real.open(path, direct)
            return direct && descriptor == -EINVAL ? SystemCalls.real.open(path, false) : descriptor
        }
        return calls
    }()
}
