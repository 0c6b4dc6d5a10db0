import CPMAntShape
import Glibc
import LeafExecutor
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

@testable import LeafGeneration
@testable import LeafImport
@testable import LeafServer
@testable import LeafTokenizer

/// What reads bytes that anybody may have made.
enum Reader: String, CaseIterable {
    case header, chunks, pickle, zip, adapter, masks, vocabulary, segmenter, session, requests, cases, bodies, headers,
        forms, messages, shapes

    /// The one that the environment names.
    static let chosen: Reader = {
        let name = getenv("LEAF_FUZZ").map { String(cString: $0) } ?? ""
        guard let reader = Reader(rawValue: name) else {
            fatalError("LEAF_FUZZ is one of \(allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return reader
    }()

    private static let input = ScratchFile("input")
    /// Of a model with 3 layers of 4 heads.
    private static let pruning: ScratchFile = {
        let file = ScratchFile("pruning.json")
        file.set(to: Array(#"{"num_heads": [2, 4, 3], "dim_head": [8, 8, 8], "att": {}, "ffn": {"1": true}}"#.utf8))
        return file
    }()
    private static let configuration = ModelPreset.tiny.configuration
    private static let text = "一二三四，春眠不觉晓 leaf 3.14\r\n甲乙"

    /// Opens what it needs, which may take longer than one input may.
    func prepare() {
        if case .bodies = self { _ = ServedModel.desk }
    }

    /// - Parameter allowance: takes the heap bytes that reading promises to need at most, besides the bytes themselves.
    func read(_ bytes: [UInt8], _ allowance: inout HeapAllowance) throws {
        func promise(_ heapBytes: Int) throws(LeafError) { try allowance.take(heapBytes, for: "it", of: "input") }
        switch self {
        case .header:
            try promise(SafetensorsHeader.heapBound(byteCount: bytes.count))
            _ = try SafetensorsHeader(json: bytes, fileBytes: 1 << 20, path: "input")
        case .chunks:
            try promise(SafetensorsHeader.heapBound(byteCount: bytes.count))
            // How long the file is, and its header without the checksum, which hardly any change would pass.
            let fileBytes = bytes.prefix(5).reversed().reduce(0) { $0 << 8 | Int($1) }
            let header = try SafetensorsHeader(json: Array(bytes.dropFirst(5)), fileBytes: fileBytes, path: "input")
            _ = try LeafFile.Assembly(path: "input", fileBytes: fileBytes, header: header)
                .assemble { json, weights throws(LeafError) in
                    ModelShape(try ModelConfiguration(json: json, source: "input"), weights: weights).file
                }
        case .pickle:
            try promise(Unpickler.heapBound(byteCount: bytes.count))
            _ = try Unpickler.stateDict(bytes, path: "input")
        case .zip:
            Self.input.set(to: bytes)
            for tensor in try TorchFile.tensors(of: InputFile(path: Self.input.path), &allowance) {
                try readEnds(of: tensor, &allowance)
            }
        case .adapter:
            Self.input.set(to: bytes)
            _ = try? SoftPromptFile(path: Self.input.path, for: Self.configuration, &allowance)
            _ = try AdapterFile(path: Self.input.path, for: Self.configuration, &allowance)
        case .masks:
            // A conversion has no promise for one file.
            try promise(1 << 30)
            try readMasks(bytes)
        case .vocabulary:
            try promise(Tokenizer.heapBound(vocabularyBytes: bytes.count, segmenterBytes: 0))
            let vocabulary = try Vocabulary(text: bytes, style: .init(of: bytes))
            let tokenizer = Tokenizer(vocabulary: vocabulary, segmenter: nil)
            for id in tokenizer.encode(Self.text) { _ = vocabulary.token(id) }
        case .segmenter:
            try promise(Tokenizer.heapBound(vocabularyBytes: 0, segmenterBytes: bytes.count))
            // What passes cuts any text.
            _ = try Segmenter(data: bytes).words(in: Self.text)
        case .session:
            // For the texts behind the head, which takes what it needs by itself.
            try promise(1 << 20)
            try writeSession(bytes)
            var options = GenerationOptions()
            options.logprobs = 4
            _ = try Session(path: Self.input.path).read(comparedWith: nil, &allowance) { _, rest throws(LeafError) in
                for _ in 0..<4 { _ = try SessionText(rest, options, in: Self.configuration) }
            }
        case .requests:
            // Nothing is promised of one line but that it has an end.
            try promise(64 * bytes.count)
            readRequest(bytes)
        case .cases:
            try promise(LogitsInput.heapBound(byteCount: bytes.count))
            _ = try LogitsInput.cases(json: bytes[...])
        case .bodies, .headers, .forms, .messages, .shapes: try readMessage(bytes, promise)
        }
    }

    /// What other programs send.
    private func readMessage(_ bytes: [UInt8], _ promise: (Int) throws(LeafError) -> Void) throws {
        switch self {
        case .bodies:
            try promise(ServedModel.readingBytes(of: bytes.count))
            try ServedModel.read(bytes)
        case .headers:
            // Copies of a text in other letters, and its parts.
            try promise(64 * bytes.count)
            readHeader(String(decoding: bytes, as: UTF8.self))
        case .forms:
            // A whole body as one piece, which grows by doubling, and the texts of a part's head.
            try promise(4 * bytes.count + 64 << 10)
            try Form(bytes).read()
        case .messages:
            // Copies, as they came and as they are seen.
            try promise(8 * bytes.count + 64 << 10)
            Message(bytes).read()
        case .shapes:
            // Texts, names that were found, and one of each object that is open.
            try promise(64 * bytes.count + 64 << 10)
            try readShape(bytes)
        default: break
        }
    }

    private func readRequest(_ bytes: [UInt8]) {
        // Whatever the kind: each takes other fields.
        for kind in RequestKind.allCases { _ = try? WireRequest(kind, json: bytes[...]) }
        _ = try? WireRequest(json: bytes[...])
        _ = RequestID(rescuedFrom: bytes[...])
    }

    /// The answer of a worker, behind a byte for its kind.
    private func readShape(_ bytes: [UInt8]) throws(LeafError) {
        let shapes = [
            GenerationAnswer.shape, FillAnswer.shape, EmbeddingAnswer.shape(.mean), EmbeddingAnswer.shape(.none),
            CompletionAnswer.completionShape, CompletionAnswer.chatShape,
        ]
        var reader = JSONReader(bytes.dropFirst())
        try shapes[Int(bytes.first ?? 0) % shapes.count].check(&reader)
        try reader.end()
    }

    private func readMasks(_ bytes: [UInt8]) throws {
        Self.input.set(to: bytes)
        let record = try PruningRecord(path: Self.pruning.path, masksPath: Self.input.path)
        _ = try record.masks(of: Array(repeating: [false, false], count: 3))
    }

    private func readHeader(_ value: String) {
        _ = HostRule([.internet(host: "0.0.0.0", port: 80)], allowed: ["leaf.example"]).admits(value)
        _ = KeyRing(["secret"]).place(of: value)
        _ = HeaderValue.urgency(of: value)
        _ = HeaderValue.isJSON(value)
    }

    /// A session of these contents, or, after a 0, of these bytes, frames and all.
    private func writeSession(_ bytes: [UInt8]) throws {
        guard bytes.first != 0 else {
            Self.input.set(to: Array(bytes.dropFirst()))
            return
        }
        Self.input.set(to: [])
        let output = try OutputFile(path: Self.input.path)
        let writer = try SessionWriter(output)
        try bytes.withUnsafeBytes { try writer.append($0) }
        try writer.finish()
    }

    /// The first row and the last.
    private func readEnds(of tensor: SourceTensor, _ allowance: inout HeapAllowance) throws(LeafError) {
        let reader = try RowReader(tensor)
        guard reader.rowBytes <= 1 << 20 else { return }
        try allowance.take(2 << 20, for: "a row", of: tensor.name)
        defer { allowance.give(back: 2 << 20) }
        let row = try PageMemory(count: reader.rowBytes)
        for number in [0, reader.rows - 1] { try reader.read(rows: number..<number + 1, into: row.bytes) }
    }
}

/// The model that bodies ask for something, which the environment names.
private enum ServedModel {
    private static let (context, sequences) = (512, 8)

    static let desk: AnswerDesk = {
        guard let path = getenv("LEAF_FUZZ_MODEL"), let file = try? ModelFile(path: String(cString: path)) else {
            fatalError("LEAF_FUZZ_MODEL names a model file")
        }
        // So few rows of logits that a text is scored in parts.
        let capacity = Demand(context: context * sequences, longest: context, logitRows: 40, sequences: sequences)
        var settings = AnswerDesk.Settings()
        settings.mostBytes = 64 << 20
        return AnswerDesk(file, capacity: capacity, settings)
    }()

    /// - Parameter bytes: one for the route, and what a client sends there.
    static func read(_ bytes: [UInt8]) throws(ServedError) {
        let route = AnswerDesk.Route.allCases[Int(bytes.first ?? 0) % AnswerDesk.Route.allCases.count]
        _ = try desk.request(route, body: bytes.dropFirst())
    }

    /// The ids of a text while it is cut; of up to 256 texts the options that each is asked with, and an input of which
    /// each has a copy.
    static func readingBytes(of bodyBytes: Int) -> Int { 16 * bodyBytes + 2 << 20 }
}

/// A body with a file: a line with its type, a byte for the length of its pieces, and the body.
private struct Form {
    private let type: String
    private let pieceBytes: Int
    private let body: ArraySlice<UInt8>

    /// What comes of it.
    private struct Contents: Equatable {
        var parts: [MultipartReader.Part] = []
        /// Of each part's bytes.
        var digests: [UInt64] = []
        var ends = 0
    }

    init(_ bytes: [UInt8]) {
        let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        let rest = bytes[line.endIndex...].dropFirst()
        // So long that no head is looked through for each of its bytes.
        (type, pieceBytes) = (String(decoding: line, as: UTF8.self), 16 + Int(rest.first ?? 0))
        body = rest.dropFirst()
    }

    /// The same comes of it in whatever pieces it comes.
    func read() throws(ServedError) {
        let cut = try? contents(in: pieceBytes)
        let whole = try? contents(in: max(1, body.count))
        guard cut == whole else { fatalError("pieces of \(pieceBytes) bytes make a difference") }
        _ = try contents(in: 1 << 10)
    }

    private func contents(in pieceBytes: Int) throws(ServedError) -> Contents {
        var reader = try MultipartReader(contentType: type)
        var contents = Contents()
        var rest = body
        while !rest.isEmpty {
            let piece = rest.prefix(pieceBytes)
            rest = rest.dropFirst(piece.count)
            try reader.take(piece) { event throws(ServedError) in
                switch event {
                case .begin(let part):
                    contents.parts.append(part)
                    contents.digests.append(0xCBF2_9CE4_8422_2325)
                case .bytes(let bytes):
                    let last = contents.digests.count - 1
                    contents.digests[last] = bytes.reduce(contents.digests[last]) {
                        ($0 ^ UInt64($1)) &* 0x100_0000_01B3
                    }
                case .end: contents.ends += 1
                }
            }
        }
        try reader.finish()
        return contents
    }
}

/// What a client sends, on its way to libevent: a byte for what it is, one for the length of its pieces, and the bytes.
private struct Message {
    private let kind: Kind
    private let pieceBytes: Int
    private let bytes: ArraySlice<UInt8>

    private enum Kind: Int, CaseIterable { case request, chunks, trailer }

    /// What comes of it: the status of the refusal, or the bytes that libevent is let see.
    private enum Outcome: Equatable {
        case refused(Int)
        case seen([UInt8], isWhole: Bool)
    }

    init(_ bytes: [UInt8]) {
        kind = Kind.allCases[Int(bytes.first ?? 0) % Kind.allCases.count]
        pieceBytes = 1 + Int(bytes.dropFirst().first ?? 0)
        self.bytes = bytes.dropFirst(2)
    }

    /// The same comes of it in whatever pieces it comes.
    func read() {
        guard outcome(in: pieceBytes) == outcome(in: max(1, bytes.count)) else {
            fatalError("pieces of \(pieceBytes) bytes make a difference")
        }
    }

    private func outcome(in pieceBytes: Int) -> Outcome {
        var limits = HTTPLimits()
        (limits.headBytes, limits.bodyBytes) = (1 << 10, 1 << 12)
        var request = RequestReader(limits)
        var chunks = ChunkReader(bodyLimit: limits.bodyBytes, trailerLimit: limits.headBytes)
        var trailer = HTTPHead(.trailer)
        var seen = Array(bytes)
        for begin in stride(from: 0, to: seen.count, by: pieceBytes) {
            let end = min(begin + pieceBytes, seen.count)
            let refusal: ServedError? = seen.withUnsafeMutableBytes { all in
                let piece = UnsafeMutableRawBufferPointer(rebasing: all[begin..<end])
                do throws(ServedError) {
                    switch kind {
                    case .request: try request.take(piece)
                    case .chunks: try chunks.take(piece)
                    case .trailer: for byte in piece { try trailer.take(byte) }
                    }
                    return nil
                } catch {
                    return error
                }
            }
            if let refusal { return .refused(refusal.status.rawValue) }
        }
        let isWhole =
            switch kind {
            case .request: request.isHeadWhole
            case .chunks: chunks.isWhole
            case .trailer: trailer.isWhole
            }
        return .seen(seen, isWhole: isWhole)
    }
}

/// A file of the process that readers of files open.
private struct ScratchFile {
    let path: String
    private let descriptor: Int32

    init(_ name: String) {
        path = "/dev/shm/leaf-fuzz-\(getpid())-\(name)"
        descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { fatalError("\(path) cannot be made") }
    }

    func set(to bytes: [UInt8]) {
        guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, bytes, bytes.count, 0) == bytes.count else {
            fatalError("\(path) cannot be written")
        }
    }
}
