import LeafFormat
import LeafSystem
import LeafWire

/// What is asked of files and batches, by its path.
enum FileRoute: Equatable {
    case files
    case file(String)
    case content(String)
    case batches
    case batch(String)
    case cancel(String)

    /// Nil for every other path.
    init?(_ path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        guard parts.count >= 2, parts[0] == "v1" else { return nil }
        switch (parts[1], parts.count, parts.last) {
        case ("files", 2, _): self = .files
        case ("files", 3, _): self = .file(parts[2])
        case ("files", 4, "content"): self = .content(parts[2])
        case ("batches", 2, _): self = .batches
        case ("batches", 3, _): self = .batch(parts[2])
        case ("batches", 4, "cancel"): self = .cancel(parts[2])
        default: return nil
        }
    }

    /// The name under which requests are counted.
    var name: String {
        switch self {
        case .files: "/v1/files"
        case .file: "/v1/files/{id}"
        case .content: "/v1/files/{id}/content"
        case .batches: "/v1/batches"
        case .batch: "/v1/batches/{id}"
        case .cancel: "/v1/batches/{id}/cancel"
        }
    }

    /// What may be done with it.
    var methods: [HTTPExchange.Method] {
        switch self {
        case .files, .batches: [.get, .post]
        case .file: [.get, .delete]
        case .content, .batch: [.get]
        case .cancel: [.post]
        }
    }
}

/// Answers what is asked of files and batches, on a thread of its own, because disks make it wait.
final class FileDesk: Sendable {
    struct Question: Sendable {
        let route: FileRoute
        let method: HTTPExchange.Method
        let query: String
        let contentType: String?
        /// Who asks: a digest of a key; empty where nobody is asked for one.
        let owner: String
        let body: HTTPBody
    }

    enum Answer: Sendable {
        case json(String, ignored: UnknownFields)
        case content(InputFile)
        case refused(ServedError)
    }

    let store: FileStore
    private let thread: SerialThread

    /// - Throws: `.io` when the system starts no more threads.
    init(_ store: FileStore) throws(LeafError) {
        self.store = store
        thread = try SerialThread()
    }

    /// - Parameter tell: called once, on the desk's thread.
    func ask(_ question: Question, tell: @escaping @Sendable (Answer) -> Void) {
        thread.async { [self] in
            do throws(ServedError) {
                tell(try answer(question))
            } catch {
                tell(.refused(error))
            }
        }
    }

    private func answer(_ question: Question) throws(ServedError) -> Answer {
        let owner = question.owner
        switch (question.route, question.method) {
        case (.files, .post):
            let kept = try store.receive(contentType: question.contentType, for: owner) { question.body.next() }
            return .json(kept.record.json.line, ignored: kept.ignored)
        case (.files, _):
            return .all(of: try store.files(PageQuery(question.query, usual: 10_000, most: 10_000), of: owner))
        case (.file(let id), .delete): return .all(of: try store.delete(id, of: owner))
        case (.file(let id), _): return .all(of: try store.file(id, of: owner).json)
        case (.content(let id), _): return .content(try store.content(id, of: owner))
        case (.batches, .post):
            let wish: BatchWish
            do throws(LeafError) {
                wish = try BatchWish(question.body.all(atMost: BatchWish.bodyLimit + 1)[...])
            } catch {
                throw ServedError(error)
            }
            return .json(try store.create(wish, for: owner).line, ignored: wish.ignored)
        case (.batches, _):
            return .all(of: try store.batches(PageQuery(question.query, usual: 20, most: 100), of: owner))
        case (.batch(let id), _): return .all(of: try store.batch(id, of: owner))
        case (.cancel(let id), _): return .all(of: try store.cancel(id, of: owner))
        }
    }
}

extension FileDesk.Answer {
    fileprivate static func all(of json: JSON) -> Self { .json(json.line, ignored: UnknownFields()) }
}
