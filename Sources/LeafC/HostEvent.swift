import CLibrary
import Glibc
import LeafFormat
import LeafGeneration
import LeafWire
import Leafcutter
import Synchronization

/// An answer, or a part of it.
struct HostResult: Sendable {
    /// The fields, written when somebody asks for them.
    let json: @Sendable () -> String
    var text: String?
    var floats: FloatRowsResult?
}

/// An event in the host's hands, and the texts that were asked of it.
final class HostEvent: Sendable {
    enum Content: Sendable {
        case piece(GeneratedPiece)
        case progress(RequestProgress)
        case result(HostResult)
    }

    /// A text of the event's own.
    private struct Text {
        let characters: UnsafeMutablePointer<CChar>?
        let count: Int

        init(_ text: String?) {
            characters = text.flatMap { CText.copy($0) }
            count = characters == nil ? 0 : text?.utf8.count ?? 0
        }

        var address: (UInt, Int) { (UInt(bitPattern: characters), count) }
    }

    private struct Texts {
        var text: Text?
        var json: Text?
    }

    let content: Content
    private let texts = Mutex(Texts())

    init(_ content: Content) { self.content = content }

    deinit {
        texts.withLock {
            free($0.text?.characters)
            free($0.json?.characters)
        }
    }

    var kind: lc_event_kind {
        switch content {
        case .piece: LC_PIECE
        case .progress: LC_PROGRESS
        case .result: LC_RESULT
        }
    }

    /// The text and its bytes; nil where there is none.
    var text: (UnsafePointer<CChar>, Int)? {
        Self.given(
            texts.withLock { texts in
                if texts.text == nil { texts.text = Text(content.text) }
                return texts.text?.address ?? (0, 0)
            })
    }

    /// Everything, as JSON.
    var json: (UnsafePointer<CChar>, Int)? {
        Self.given(
            texts.withLock { texts in
                if texts.json == nil { texts.json = Text(content.json) }
                return texts.json?.address ?? (0, 0)
            })
    }

    private static func given(_ address: (UInt, Int)) -> (UnsafePointer<CChar>, Int)? {
        UnsafePointer<CChar>(bitPattern: address.0).map { ($0, address.1) }
    }
}

extension HostEvent.Content {
    fileprivate var text: String? {
        switch self {
        case .piece(let piece): piece.text
        case .progress: nil
        case .result(let result): result.text
        }
    }

    fileprivate var json: String {
        switch self {
        case .piece(let piece): Self.fields(of: piece).line
        case .progress(let progress): Self.fields(of: progress).line
        case .result(let result): result.json()
        }
    }

    /// `{"sample","id","text"}`, and `"logprob","logprobs"` where they were asked for.
    private static func fields(of piece: GeneratedPiece) -> JSON {
        var fields: [(key: String, value: JSON)] = [
            ("sample", .integer(piece.sample)), ("id", piece.id.map { .integer(Int($0)) } ?? .null),
            ("text", .string(piece.text)),
        ]
        if let logprobs = piece.logprobs {
            fields += [("logprob", .number(logprobs.chosen.logprob)), ("logprobs", .logprobs([logprobs]))]
        }
        return .object(fields)
    }

    /// `{"phase","sweep","chunks_done","chunk_count","share","rows"}`
    private static func fields(of progress: RequestProgress) -> JSON {
        [
            "phase": .string(progress.phase.rawValue), "sweep": .integer(progress.sweep),
            "chunks_done": .integer(progress.chunksDone), "chunk_count": .integer(progress.chunkCount),
            "share": .number(progress.share), "rows": .integer(progress.rows),
        ]
    }
}
