import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem
import Testing

@Suite("chunks") struct ChunkTests {
    private func bytes(_ count: Int, upTo most: UInt8, seed: UInt64 = 3) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in UInt8.random(in: 0...most, using: &generator) }
    }

    /// A slot with the stored bytes where a reader puts them, and the chunk that describes them.
    private func slot(_ stored: [UInt8], raw: Int, _ codec: ChunkCodec) -> (Chunk, UnsafeMutableRawBufferPointer) {
        let padded = stored + [UInt8](repeating: 0, count: stored.count.roundedUp(to: 4096) - stored.count)
        let chunk = Chunk(
            matrix: 0, firstOutput: 0, outputCount: 16, offset: 4096, storedBytes: stored.count, rawBytes: raw,
            codec: codec,
            digest: padded.withUnsafeBytes { ChunkDigest.of($0) })
        let slot = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk.slotBytes, alignment: 4096)
        slot.initializeMemory(as: UInt8.self, repeating: 0xAA)
        padded.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: slot[chunk.storedAt...]).copyMemory(from: $0) }
        return (chunk, slot)
    }

    private func pack(_ bytes: [UInt8]) -> [UInt8]? {
        var room = bytes
        let count = bytes.withUnsafeBytes { source in
            room.withUnsafeMutableBytes { LZ4Codec.compress(source, into: $0) }
        }
        return count.map { Array(room[0..<$0]) }
    }

    @Test(arguments: [64, 1000, 4096, 100_000, 1 << 20]) func packedBytesUnpackInTheirSlot(count: Int) throws {
        let original = bytes(count, upTo: 1)
        let packed = try #require(pack(original))
        let (chunk, slot) = slot(packed, raw: count, .lz4)
        defer { slot.deallocate() }
        let result = try chunk.verifyAndUnpack(in: slot)
        #expect(result.elementsEqual(original))
        // A few thousandths and two pages beyond the chunk itself.
        #expect(chunk.slotBytes <= count + count >> 8 + 3 * 4096)
    }

    @Test func denseBytesAreNotPacked() {
        #expect(pack(bytes(100_000, upTo: 255)) == nil)
        #expect(pack(bytes(100_000, upTo: 200)) == nil)
        #expect(pack([]) == nil)
    }

    @Test func rawBytesStayWhereTheyAre() throws {
        let original = bytes(5000, upTo: 255)
        let (chunk, slot) = slot(original, raw: 5000, .raw)
        defer { slot.deallocate() }
        #expect(chunk.slotBytes == 8192 && chunk.storedAt == 0)
        let result = try chunk.verifyAndUnpack(in: slot)
        #expect(result.baseAddress == UnsafeRawPointer(slot.baseAddress) && result.elementsEqual(original))
    }

    @Test func aChangedByteFailsTheChecksumEvenInThePadding() throws {
        let (chunk, slot) = slot(bytes(5000, upTo: 255), raw: 5000, .raw)
        defer { slot.deallocate() }
        slot[6000] = 1
        #expect(failure { _ = try chunk.verifyAndUnpack(in: slot) }?.description.contains("checksum") == true)
    }

    /// Blocks with a right checksum that no packer wrote: they end in an error or in bytes, within their slot.
    @Test func hostileBlocksNeverLeaveTheirSlot() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let packed = try #require(pack(bytes(20_000, upTo: 1)))
        var refused = 0
        for round in 0..<3000 {
            var hostile = packed
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                hostile[Int.random(in: 0..<(round % 2 == 0 ? 64 : hostile.count), using: &generator)] =
                    UInt8.random(in: 0...255, using: &generator)
            }
            if round % 5 == 0 { hostile.removeLast(Int.random(in: 1..<hostile.count, using: &generator)) }
            let (chunk, slot) = slot(hostile, raw: 20_000, .lz4)
            defer { slot.deallocate() }
            if failure({ _ = try chunk.verifyAndUnpack(in: slot) }) != nil { refused += 1 }
        }
        #expect(refused > 500, "seed \(seed)")
        let (chunk, slot) = slot(packed, raw: 20_001, .lz4)
        defer { slot.deallocate() }
        #expect(failure { _ = try chunk.verifyAndUnpack(in: slot) }?.description.contains("unpack") == true)
    }

    @Test func digestsInPiecesEqualDigestsAtOnce() throws {
        let all = bytes(10_000, upTo: 255)
        var digest = try ChunkDigest()
        for piece in stride(from: 0, to: all.count, by: 777) {
            all[piece..<min(piece + 777, all.count)].withUnsafeBytes { digest.update($0) }
        }
        #expect(digest.value == all.withUnsafeBytes { ChunkDigest.of($0) })
        // XXH3-64 of nothing, from xxHash's own test vectors.
        #expect([UInt8]().withUnsafeBytes { ChunkDigest.of($0) } == 0x2D06_8005_38D3_94C2)
    }

    @Test(arguments: WeightFormat.allCases, [1, 15, 16, 350, 3735, 30720])
    func chunksCoverEveryRowOnce(weights: WeightFormat, rows: Int) {
        for columns in [1, 48, 63, 700, 3735, 4096, 10240] {
            let geometry = ChunkGeometry(outputs: rows, columns: columns, layout: weights.layout)
            let ranges = (0..<geometry.chunkCount).map { geometry.outputs(ofChunk: $0) }
            #expect(ranges.flatMap(Array.init) == Array(0..<geometry.storedOutputs))
            for range in ranges {
                let bytes = geometry.bytes(outputs: range.count)
                #expect(bytes > 0 && bytes <= 4 << 20)
                #expect(geometry.shape(outputs: range.count).reduce(weights.layout.elementType.byteCount, *) == bytes)
                if geometry.isSeamless, range.upperBound < geometry.storedOutputs { #expect(bytes % 4096 == 0) }
            }
        }
    }
}
