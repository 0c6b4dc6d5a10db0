import CLeafKernels
import LeafFormat
import LeafStream

/// The small tensors that every sweep needs: norms, position bias, segment and prompt rows, row scales. Read and
/// verified once, laid out for the kernels.
final class ResidentTensors {
    /// `[heads, positionBiasRows]`: one head's column of the stored table is one run here.
    let positionBias: UnsafeMutablePointer<Float>
    /// `[segmentTypes, D]`, scale folded in.
    let segmentEmbedding: UnsafeMutablePointer<Float>
    /// `[promptRows, D]` in the file's weight format, rows not padded.
    let promptEmbedding: UnsafeMutableRawPointer
    /// `[promptRows]`, for int8.
    let promptScales: UnsafeMutablePointer<Float>
    let outputNorm: UnsafeMutablePointer<Float>
    /// By layer; nil where the half layer was pruned.
    let attentionNorms: [UnsafeMutablePointer<Float>?]
    let feedForwardNorms: [UnsafeMutablePointer<Float>?]
    /// By matrix, `[paddedRows]`; empty for float weights.
    let rowScales: [UnsafeMutablePointer<Float>]

    private let arena: Arena

    /// Bytes that `init` allocates for this file.
    static func byteCount(_ file: LeafFile) -> Int {
        wanted(file).reduce(0) { $0 + $1.bytes } + readBytes
    }

    /// Bytes read and verified at a time.
    private static let readBytes = 256 << 10

    /// - Throws: `.io` or `.badInput` when the bytes cannot be read or are not what their digest says.
    init(_ file: LeafFile, store: BlockStore) throws(LeafError) {
        let configuration = file.configuration
        arena = try Arena(byteCount: Self.byteCount(file))
        var places: [String: UnsafeMutableRawPointer] = [:]
        var targets: [Target] = []
        for tensor in Self.wanted(file) {
            let place = UnsafeMutableRawPointer(arena.take(tensor.bytes, of: UInt8.self))
            places[tensor.name] = place
            guard let entry = file.tensor(tensor.name) else {
                throw LeafError(.badInput, "\(file.path) lacks the tensor \(tensor.name); convert the checkpoint again")
            }
            targets.append(Target(entry: entry, layout: tensor.layout, base: place))
        }
        let buffer = UnsafeMutableRawBufferPointer(
            start: arena.take(Self.readBytes, of: UInt8.self), count: Self.readBytes)
        try Self.read(file, store, targets.sorted { $0.entry.offset < $1.entry.offset }, through: buffer)

        for tensor in Self.wanted(file) where tensor.name != TensorName.promptEmbedding {
            guard let place = places[tensor.name] else { continue }
            let floats = UnsafeBufferPointer(
                start: place.assumingMemoryBound(to: Float.self), count: tensor.bytes / 4)
            guard floats.allSatisfy(\.isFinite) else {
                throw LeafError(
                    .badInput,
                    "\(file.path): the tensor \(tensor.name) holds a NaN or an infinity; convert the checkpoint again")
            }
        }

        func floats(_ name: String) -> UnsafeMutablePointer<Float>? {
            places[name]?.assumingMemoryBound(to: Float.self)
        }
        func required(_ name: String) throws(LeafError) -> UnsafeMutablePointer<Float> {
            guard let place = floats(name) else { throw LeafError(.badInput, "\(file.path) lacks the tensor \(name)") }
            return place
        }
        positionBias = try required(TensorName.positionBias)
        segmentEmbedding = try required(TensorName.segmentEmbedding)
        promptEmbedding = UnsafeMutableRawPointer(try required(TensorName.promptEmbedding))
        promptScales = floats(TensorName.promptScale) ?? segmentEmbedding
        outputNorm = try required(TensorName.outputNorm)
        attentionNorms = configuration.layers.indices.map { floats(TensorName.attentionNorm(layer: $0)) }
        feedForwardNorms = configuration.layers.indices.map { floats(TensorName.feedForwardNorm(layer: $0)) }
        rowScales = file.weights == .int8 ? file.matrices.compactMap { floats(TensorName.scale(of: $0.name)) } : []
    }

    // MARK: What is wanted, and where its bytes go

    private enum Layout {
        case plain
        /// Rows of `width` floats, `stride` floats apart.
        case rows(width: Int, stride: Int)
        /// `[rows, width]` to `[width, rows]`.
        case transposed(rows: Int, width: Int)
    }

    private struct Wanted {
        let name: String
        let bytes: Int
        let layout: Layout
    }

    private struct Target {
        let entry: TensorEntry
        let layout: Layout
        let base: UnsafeMutableRawPointer

        /// Puts the file's bytes `bytes`, which begin at the tensor's byte `start`, where they belong.
        func store(_ bytes: UnsafeRawBufferPointer, at start: Int) {
            guard let source = bytes.baseAddress else { return }
            switch layout {
            case .plain:
                (base + start).copyMemory(from: source, byteCount: bytes.count)
            case .rows(let width, let stride):
                var done = 0
                while done < bytes.count {
                    let (row, place) = (start + done).quotientAndRemainder(dividingBy: width * 4)
                    let count = min(width * 4 - place, bytes.count - done)
                    (base + row * stride * 4 + place).copyMemory(from: source + done, byteCount: count)
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

    private static func wanted(_ file: LeafFile) -> [Wanted] {
        let configuration = file.configuration
        let stride = configuration.dimModel.roundedUp(to: 64)
        func floats(_ name: String, _ count: Int) -> Wanted {
            Wanted(name: name, bytes: count.roundedUp(to: 64) * 4, layout: .plain)
        }
        var wanted: [Wanted] = []
        for (index, layer) in configuration.layers.enumerated() {
            if layer.hasAttention {
                wanted.append(floats(TensorName.attentionNorm(layer: index), configuration.dimModel))
            }
            if layer.hasFeedForward {
                wanted.append(floats(TensorName.feedForwardNorm(layer: index), configuration.dimModel))
            }
        }
        wanted.append(floats(TensorName.outputNorm, configuration.dimModel))
        wanted.append(
            Wanted(
                name: TensorName.positionBias,
                bytes: (configuration.positionBiasRows * configuration.numHeads).roundedUp(to: 64) * 4,
                layout: .transposed(rows: configuration.positionBiasRows, width: configuration.numHeads)))
        wanted.append(
            Wanted(
                name: TensorName.segmentEmbedding, bytes: configuration.segmentTypes * stride * 4,
                layout: .rows(width: configuration.dimModel, stride: stride)))
        wanted.append(
            Wanted(
                name: TensorName.promptEmbedding,
                bytes: (configuration.promptRows * configuration.dimModel * file.weights.elementBytes).roundedUp(
                    to: 64),
                layout: .plain))
        if file.weights == .int8 {
            wanted.append(floats(TensorName.promptScale, configuration.promptRows))
            for matrix in file.matrices { wanted.append(floats(TensorName.scale(of: matrix.name), matrix.paddedRows)) }
        }
        return wanted
    }

    /// Reads the regions that hold the targets from end to end, checks their digests, and stores the targets' bytes.
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
