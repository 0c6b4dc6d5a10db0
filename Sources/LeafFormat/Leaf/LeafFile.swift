/// How a chunk's bytes are packed.
package enum ChunkCodec: String, Sendable, Codable {
    case raw
    case lz4
}

/// One tensor of a safetensors file.
package struct TensorEntry: Sendable, Equatable {
    package enum ElementType: String, Sendable, Codable {
        case f64 = "F64"
        case f32 = "F32"
        case f16 = "F16"
        case bf16 = "BF16"
        case i64 = "I64"
        case i32 = "I32"
        case i16 = "I16"
        case i8 = "I8"
        case u8 = "U8"
        case bool = "BOOL"

        package var byteCount: Int {
            switch self {
            case .f64, .i64: 8
            case .f32, .i32: 4
            case .f16, .bf16, .i16: 2
            case .i8, .u8, .bool: 1
            }
        }
    }

    package let name: String
    package let type: ElementType
    package let shape: [Int]
    /// The offset from the start of the file.
    package let offset: Int
    package let byteCount: Int

    package init(name: String, type: ElementType, shape: [Int], offset: Int, byteCount: Int) {
        self.name = name
        self.type = type
        self.shape = shape
        self.offset = offset
        self.byteCount = byteCount
    }
}

/// What is read, checked, computed and released at a time: whole units (tiles or rows) of one matrix, at most 4 MiB
/// unpacked, starting at a multiple of 4096 in the file.
package struct Chunk: Sendable, Equatable {
    /// Index into `LeafFile.matrices`.
    package let matrix: Int
    /// First output, and how many (the last chunk of a matrix counts its padding).
    package let firstOutput: Int
    package let outputCount: Int
    /// The offset from the start of the file, a multiple of 4096.
    package let offset: Int
    /// Bytes in the file, before the padding to 4096.
    package let storedBytes: Int
    /// Bytes when unpacked.
    package let rawBytes: Int
    package let codec: ChunkCodec
    /// XXH3-64 of the stored bytes, padding included up to the next multiple of 4096.
    package let digest: UInt64

    package init(
        matrix: Int, firstOutput: Int, outputCount: Int, offset: Int, storedBytes: Int, rawBytes: Int,
        codec: ChunkCodec,
        digest: UInt64
    ) {
        self.matrix = matrix
        self.firstOutput = firstOutput
        self.outputCount = outputCount
        self.offset = offset
        self.storedBytes = storedBytes
        self.rawBytes = rawBytes
        self.codec = codec
        self.digest = digest
    }

    /// Bytes to read for this chunk: `storedBytes`, rounded up to a multiple of 4096.
    package var paddedBytes: Int { (storedBytes + 4095) / 4096 * 4096 }
}

extension Sequence where Element == Chunk {
    /// Bytes to read for all of them.
    package var paddedBytes: Int { reduce(0) { $0 + $1.paddedBytes } }
}

/// One weight matrix `[outputs, columns]` of a file.
package struct Matrix: Sendable, Equatable {
    package let shape: FileShape.Matrix
    /// Indices into `LeafFile.chunks`.
    package let chunks: Range<Int>

    package init(shape: FileShape.Matrix, chunks: Range<Int>) {
        self.shape = shape
        self.chunks = chunks
    }

    /// The reference implementation's name, such as `encoder.layers.0.self_att.self_attention.project_q.weight`.
    package var name: String { shape.name }
    package var outputs: Int { shape.outputs }
    package var columns: Int { shape.columns }
    package var layout: WeightLayout { shape.layout }
    package var storedOutputs: Int { layout.storedOutputs(outputs) }
    package var storedColumns: Int { layout.storedColumns(columns) }
}

/// What a sweep applies at once: a half layer, or the output projection.
package struct Block: Sendable, Equatable {
    /// Such as `layer 8, feed-forward`.
    package let name: String
    /// Indices into `LeafFile.matrices`.
    package let matrices: Range<Int>
    /// Indices into `LeafFile.chunks`.
    package let chunks: Range<Int>

    package init(name: String, matrices: Range<Int>, chunks: Range<Int>) {
        self.name = name
        self.matrices = matrices
        self.chunks = chunks
    }
}

/// Bytes outside of the chunks (resident tensors, tokenizer), with their digest.
package struct Region: Sendable, Equatable {
    package let name: String
    package let offset: Int
    package let byteCount: Int
    package let digest: UInt64

    package init(name: String, offset: Int, byteCount: Int, digest: UInt64) {
        self.name = name
        self.offset = offset
        self.byteCount = byteCount
        self.digest = digest
    }
}

/// The contents of a `.leaf` file's header. It holds no descriptor and no weights.
public struct LeafFile: Sendable, Equatable {
    public let path: String
    public let fileBytes: Int
    /// The layout of most matrices; each has its own.
    public let weights: WeightFormat
    package let tensors: [TensorEntry]
    /// In sweep order.
    package let blocks: [Block]
    package let matrices: [Matrix]
    /// In sweep order, ascending in the file.
    package let chunks: [Chunk]
    /// Regions; every byte between the header and the first chunk belongs to one.
    package let regions: [Region]
    /// The rest of the header's metadata (source, format version, ...).
    public let metadata: [String: String]

    package init(
        path: String, fileBytes: Int, weights: WeightFormat, tensors: [TensorEntry],
        blocks: [Block], matrices: [Matrix], chunks: [Chunk], regions: [Region], metadata: [String: String] = [:]
    ) {
        self.path = path
        self.fileBytes = fileBytes
        self.weights = weights
        self.tensors = tensors
        self.blocks = blocks
        self.matrices = matrices
        self.chunks = chunks
        self.regions = regions
        self.metadata = metadata
    }

    /// Whether the other file has the same header, digests included.
    public func isCopy(of other: LeafFile) -> Bool {
        fileBytes == other.fileBytes && weights == other.weights
            && tensors == other.tensors && chunks == other.chunks && regions == other.regions
            && metadata == other.metadata
    }

    /// Sixteen digits that identify the model: the digest of the header, which contains the digests of everything else.
    public var digest: String { metadata[LeafMetadata.Key.digest] ?? "" }

    /// Bytes of the file in front of the data: the length and the JSON.
    public var headerBytes: Int { regions.first?.offset ?? 0 }

    /// Bytes on the heap, rooms for growth included.
    public var heapBytes: Int {
        // An array or a string of more than 15 bytes has a header of 32.
        let names = tensors.map(\.name) + matrices.map(\.name) + metadata.flatMap { [$0, $1] }
        return names.reduce(0) { $0 + 32 + 2 * MemoryLayout<String>.stride + $1.utf8.count }
            + tensors.reduce(0) { $0 + MemoryLayout<TensorEntry>.stride + 32 + 8 * $1.shape.count }
            + 2 * chunks.count * MemoryLayout<Chunk>.stride + 2 * matrices.count * MemoryLayout<Matrix>.stride
            + 2 * blocks.count * MemoryLayout<Block>.stride
    }

    package func tensor(_ name: String) -> TensorEntry? { tensors.first { $0.name == name } }
}
