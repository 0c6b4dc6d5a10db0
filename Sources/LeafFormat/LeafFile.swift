/// How a model's matrices are stored.
public enum WeightFormat: String, Sendable, Codable, CaseIterable {
    /// Symmetric, one float32 scale an output row, interleaved for the kernels: `[rows/16, columns/4, 16, 4]`, rows
    /// padded to a multiple of 16 and columns to a multiple of 64, with zeros.
    case int8
    /// Plain `[rows, columns]`.
    case float16
    case float32

    /// Bytes of one stored number.
    public var elementBytes: Int {
        switch self {
        case .int8: 1
        case .float16: 2
        case .float32: 4
        }
    }
}

/// How a chunk's bytes are packed.
public enum ChunkCodec: String, Sendable, Codable {
    case raw
    case lz4
}

/// One tensor of a safetensors file.
public struct TensorEntry: Sendable, Equatable {
    public enum ElementType: String, Sendable, Codable {
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

        public var byteCount: Int {
            switch self {
            case .f64, .i64: 8
            case .f32, .i32: 4
            case .f16, .bf16, .i16: 2
            case .i8, .u8, .bool: 1
            }
        }
    }

    public let name: String
    public let type: ElementType
    public let shape: [Int]
    /// Bytes from the start of the file.
    public let offset: Int
    public let byteCount: Int

    public init(name: String, type: ElementType, shape: [Int], offset: Int, byteCount: Int) {
        self.name = name
        self.type = type
        self.shape = shape
        self.offset = offset
        self.byteCount = byteCount
    }
}

/// What is read, checked, computed and released at a time: whole 16-row tiles (int8) or rows (float) of one matrix,
/// at most 4 MiB unpacked, starting at a multiple of 4096 in the file.
public struct Chunk: Sendable, Equatable {
    /// Index into `LeafFile.matrices`.
    public let matrix: Int
    /// First output row, and how many (the last chunk of a matrix counts its padding rows).
    public let firstRow: Int
    public let rowCount: Int
    /// Bytes from the start of the file; a multiple of 4096.
    public let offset: Int
    /// Bytes in the file, before the padding to 4096.
    public let storedBytes: Int
    /// Bytes when unpacked.
    public let rawBytes: Int
    public let codec: ChunkCodec
    /// XXH3-64 of the stored bytes, padding included up to the next multiple of 4096.
    public let digest: UInt64

    public init(
        matrix: Int, firstRow: Int, rowCount: Int, offset: Int, storedBytes: Int, rawBytes: Int, codec: ChunkCodec,
        digest: UInt64
    ) {
        self.matrix = matrix
        self.firstRow = firstRow
        self.rowCount = rowCount
        self.offset = offset
        self.storedBytes = storedBytes
        self.rawBytes = rawBytes
        self.codec = codec
        self.digest = digest
    }

    /// Bytes that a read of this chunk moves: `storedBytes` up to the next multiple of 4096.
    public var paddedBytes: Int { (storedBytes + 4095) / 4096 * 4096 }
}

extension Sequence where Element == Chunk {
    /// Bytes that reading all of them moves.
    public var paddedBytes: Int { reduce(0) { $0 + $1.paddedBytes } }
}

/// One weight matrix `[rows, columns]`: `rows` outputs, `columns` inputs.
public struct Matrix: Sendable, Equatable {
    /// CPM-Live's name, such as `encoder.layers.0.self_att.self_attention.project_q.weight`.
    public let name: String
    public let rows: Int
    public let columns: Int
    /// Indices into `LeafFile.chunks`.
    public let chunks: Range<Int>

    public init(name: String, rows: Int, columns: Int, chunks: Range<Int>) {
        self.name = name
        self.rows = rows
        self.columns = columns
        self.chunks = chunks
    }

    /// Rows as int8 stores them: a multiple of 16.
    public var paddedRows: Int { (rows + 15) / 16 * 16 }
    /// Columns as int8 stores them: a multiple of 64.
    public var paddedColumns: Int { (columns + 63) / 64 * 64 }
}

/// A half layer or the token table: what a sweep applies at once.
public struct Block: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        case attention(layer: Int)
        case feedForward(layer: Int)
        case tokenTable
    }
    public let kind: Kind
    /// Indices into `LeafFile.matrices`; q, k, v, out, or w_0, w_1, w_out, or the token table alone.
    public let matrices: Range<Int>
    /// Indices into `LeafFile.chunks`.
    public let chunks: Range<Int>

    public init(kind: Kind, matrices: Range<Int>, chunks: Range<Int>) {
        self.kind = kind
        self.matrices = matrices
        self.chunks = chunks
    }
}

/// Bytes outside the chunks (resident tensors, tokenizer), with their digest.
public struct Region: Sendable, Equatable {
    public let name: String
    public let offset: Int
    public let byteCount: Int
    public let digest: UInt64

    public init(name: String, offset: Int, byteCount: Int, digest: UInt64) {
        self.name = name
        self.offset = offset
        self.byteCount = byteCount
        self.digest = digest
    }
}

/// What the header of a `.leaf` file says. Holds no descriptor and no weights.
public struct LeafFile: Sendable, Equatable {
    public let path: String
    public let fileBytes: Int
    public let configuration: ModelConfiguration
    public let weights: WeightFormat
    public let tensors: [TensorEntry]
    /// In sweep order: layer 0 attention, layer 0 feed-forward, ..., the token table.
    public let blocks: [Block]
    public let matrices: [Matrix]
    /// In sweep order, ascending in the file.
    public let chunks: [Chunk]
    /// Every byte between the header and the first chunk belongs to one.
    public let regions: [Region]
    /// The rest of the header's metadata (source, format version, ...).
    public let metadata: [String: String]

    package init(
        path: String, fileBytes: Int, configuration: ModelConfiguration, weights: WeightFormat, tensors: [TensorEntry],
        blocks: [Block], matrices: [Matrix], chunks: [Chunk], regions: [Region], metadata: [String: String] = [:]
    ) {
        self.path = path
        self.fileBytes = fileBytes
        self.configuration = configuration
        self.weights = weights
        self.tensors = tensors
        self.blocks = blocks
        self.matrices = matrices
        self.chunks = chunks
        self.regions = regions
        self.metadata = metadata
    }

    /// Whether the other header says the same, digests included.
    public func isCopy(of other: LeafFile) -> Bool {
        fileBytes == other.fileBytes && configuration == other.configuration && weights == other.weights
            && tensors == other.tensors && chunks == other.chunks && regions == other.regions
            && metadata == other.metadata
    }

    /// Sixteen digits that no other model has: of the header, which has the digests of everything else.
    public var digest: String { metadata[LeafMetadata.Key.digest] ?? "" }

    /// Bytes of the file in front of the data: the length and the JSON.
    public var headerBytes: Int { regions.first?.offset ?? 0 }

    /// A bound on the heap bytes while the header is read.
    public var headerHeapBound: Int { SafetensorsHeader.heapBound(byteCount: headerBytes) }

    /// Heap bytes held, rooms for growth included.
    public var heapBytes: Int {
        // An array or a string of more than 15 bytes has a header of 32.
        let names = tensors.map(\.name) + matrices.map(\.name) + metadata.flatMap { [$0, $1] }
        return names.reduce(0) { $0 + 32 + 2 * MemoryLayout<String>.stride + $1.utf8.count }
            + tensors.reduce(0) { $0 + MemoryLayout<TensorEntry>.stride + 32 + 8 * $1.shape.count }
            + 2 * chunks.count * MemoryLayout<Chunk>.stride + 2 * matrices.count * MemoryLayout<Matrix>.stride
            + 2 * blocks.count * MemoryLayout<Block>.stride
    }

    public func tensor(_ name: String) -> TensorEntry? { tensors.first { $0.name == name } }
}
