package import LeafFormat
package import LeafStream
package import LeafSystem

/// The small tensors that every sweep needs: norms, biases, embeddings, row scales. Read and verified once, laid out
/// for the kernels. An architecture says which it wants and how.
package final class ResidentTensors: @unchecked Sendable {
    /// How a tensor lies in memory.
    package enum Arrangement: Sendable {
        /// As in the file.
        case plain
        /// Rows of `width` floats, each padded to a multiple of 64.
        case paddedRows(width: Int)
        /// `[rows, width]` in the file, `[width, rows]` in memory.
        case transposed(rows: Int, width: Int)
    }

    /// A tensor to be kept.
    package struct Wanted: Sendable {
        package let name: String
        package let arrangement: Arrangement
        /// Whether its numbers are float32, which must be finite.
        let isFloat: Bool
        /// Bytes in memory.
        let byteCount: Int

        /// - Throws: `.badInput` when the file lacks the tensor.
        package init(_ name: String, _ arrangement: Arrangement = .plain, in file: LeafFile) throws(LeafError) {
            guard let entry = file.tensor(name) else {
                throw LeafError(.badInput, "\(file.path) lacks the tensor \(name); \(file.remedy)")
            }
            self.name = name
            self.arrangement = arrangement
            isFloat = entry.type == .f32
            byteCount =
                if case .paddedRows(let width) = arrangement {
                    entry.byteCount / (width * 4) * width.roundedUp(to: 64) * 4
                } else {
                    entry.byteCount.roundedUp(to: 256)
                }
        }
    }

    private let arena: Arena
    private let starts: [String: UnsafeMutableRawPointer]

    /// Bytes that are read and verified at a time.
    private static let readBytes = 256 << 10

    /// What an executor of all blocks wants: the architecture's tensors, and the row scales of all matrices.
    package static func withScales(_ wanted: [Wanted], in file: LeafFile) throws(LeafError) -> [Wanted] {
        var all = wanted
        for matrix in file.matrices where matrix.layout.scales == .resident {
            all.append(try Wanted(FileShape.scaleName(of: matrix.name), in: file))
        }
        return all
    }

    /// Bytes that `init` allocates.
    package static func byteCount(_ wanted: [Wanted]) -> Int { wanted.reduce(readBytes) { $0 + $1.byteCount } }

    /// - Throws: `.io` or `.badInput` when the bytes cannot be read, are not what their digest says, or are not finite.
    package init(_ file: LeafFile, _ wanted: [Wanted], store: BlockStore) throws(LeafError) {
        arena = try Arena(byteCount: Self.byteCount(wanted))
        var starts: [String: UnsafeMutableRawPointer] = [:]
        var targets: [Target] = []
        for tensor in wanted {
            let start = UnsafeMutableRawPointer(arena.take(tensor.byteCount, of: UInt8.self))
            starts[tensor.name] = start
            guard let entry = file.tensor(tensor.name) else { continue }
            targets.append(Target(entry: entry, arrangement: tensor.arrangement, base: start))
        }
        self.starts = starts
        let buffer = UnsafeMutableRawBufferPointer(
            start: arena.take(Self.readBytes, of: UInt8.self), count: Self.readBytes)
        try Self.read(file, store, targets.sorted { $0.entry.offset < $1.entry.offset }, through: buffer)
        for tensor in wanted where tensor.isFloat {
            guard let start = floats(tensor.name) else { continue }
            guard UnsafeBufferPointer(start: start, count: tensor.byteCount / 4).allSatisfy(\.isFinite) else {
                throw LeafError(
                    .badInput,
                    "\(file.path): the tensor \(tensor.name) holds a NaN or an infinity; \(file.remedy)")
            }
        }
    }

    /// The bytes of a tensor; nil if it was not wanted.
    package func bytes(_ name: String) -> UnsafeRawPointer? { starts[name].map { UnsafeRawPointer($0) } }

    package func floats(_ name: String) -> UnsafePointer<Float>? {
        bytes(name)?.assumingMemoryBound(to: Float.self)
    }

    // MARK: Where bytes go

    private struct Target {
        let entry: TensorEntry
        let arrangement: Arrangement
        let base: UnsafeMutableRawPointer

        /// Stores `bytes`, which begin at byte `start` of the tensor in the file.
        func store(_ bytes: UnsafeRawBufferPointer, at start: Int) {
            guard let source = bytes.baseAddress else { return }
            switch arrangement {
            case .plain:
                (base + start).copyMemory(from: source, byteCount: bytes.count)
            case .paddedRows(let width):
                let stride = width.roundedUp(to: 64)
                var done = 0
                while done < bytes.count {
                    let (row, byte) = (start + done).quotientAndRemainder(dividingBy: width * 4)
                    let count = min(width * 4 - byte, bytes.count - done)
                    (base + row * stride * 4 + byte).copyMemory(from: source + done, byteCount: count)
                    done += count
                }
            case .transposed(let rows, let width):
                for offset in 0..<bytes.count {
                    let (element, byte) = (start + offset).quotientAndRemainder(dividingBy: 4)
                    let (row, column) = element.quotientAndRemainder(dividingBy: width)
                    base.storeBytes(of: bytes[offset], toByteOffset: (column * rows + row) * 4 + byte, as: UInt8.self)
                }
            }
        }
    }

    /// Reads the regions that hold the targets completely, checks their digests, and stores the bytes of the targets.
    private static func read(
        _ file: LeafFile, _ store: BlockStore, _ targets: [Target], through buffer: UnsafeMutableRawBufferPointer
    ) throws(LeafError) {
        for region in file.regions {
            let bytes = region.offset..<region.offset + region.byteCount
            let inside = targets.filter { bytes.contains($0.entry.offset) }
            if inside.isEmpty { continue }
            try file.read(
                region, through: buffer,
                from: { (offset, piece) throws(LeafError) in try store.read(at: offset, into: piece) },
                use: { offset, piece in
                    for target in inside {
                        let overlap = (target.entry.offset..<target.entry.offset + target.entry.byteCount)
                            .clamped(to: offset..<offset + piece.count)
                        if overlap.isEmpty { continue }
                        let part = piece[overlap.lowerBound - offset..<overlap.upperBound - offset]
                        target.store(
                            UnsafeRawBufferPointer(rebasing: part), at: overlap.lowerBound - target.entry.offset)
                    }
                })
        }
    }
}
