public import LeafFormat
import Synchronization

/// A file that keeps one generation, so that it can go on another time and give the same bytes as if it had never stopped.
///
/// The file is written at the end, when somebody stops the generation, and on the way if asked for; always beside the old
/// one, which is whole until the new one is. Documentation/session.md describes it.
public final class Session: Sendable {
    public let path: String
    /// Tokens of a text after which it is saved on the way; nil for at the end alone.
    public let interval: Int?

    private struct Status {
        var bytes = 0
        var failure: LeafError?
        var wasLast = false
    }
    private let status = Mutex(Status())
    /// Where links lead.
    private let target: String
    private let calls: WriteCalls

    /// Names a session; nothing is read or written yet.
    ///
    /// - Throws: `.usage` for an interval that makes no sense, `.io` where no file can be written.
    public convenience init(path: String, interval: Int? = nil) throws(LeafError) {
        try self.init(path: path, interval: interval, calls: WriteCalls())
    }

    package init(path: String, interval: Int?, calls: WriteCalls) throws(LeafError) {
        if let interval, interval < 1 {
            throw LeafError(.usage, "saving every \(interval) tokens makes no sense; give at least 1")
        }
        guard FilePath.isWritableFolder(of: path) else {
            throw LeafError(.io, "\(path): no file can be written there; name a session in a folder that is yours")
        }
        guard !FilePath.isDirectory(path) else { throw LeafError(.io, "\(path) is a directory; name a file") }
        self.path = path
        target = try OutputTarget.file(path, for: "a session")
        self.interval = interval
        self.calls = calls
    }

    /// What a session's file holds.
    public struct Contents: Sendable, Equatable {
        /// `<s>` first, the soft prompt left out.
        public let promptIDs: [Int32]
        public let seed: UInt64
        /// Of the longest text so far.
        public let tokens: Int
    }

    /// What the file holds; nil if there is none yet.
    ///
    /// - Throws: `.io`, and `.badInput` for a file that is damaged or no session.
    public func contents() throws(LeafError) -> Contents? {
        try read { head, _ throws(LeafError) in head.contents }
    }

    /// Why the last saving failed; nil if it did not.
    public var failure: LeafError? { status.withLock(\.failure) }
    /// The same while the generation goes on, which tries again; nil once it has ended.
    public var passingFailure: LeafError? { status.withLock { $0.wasLast ? nil : $0.failure } }
    /// Bytes of the file that was saved last; 0 if nothing was saved.
    public var savedBytes: Int { status.withLock(\.bytes) }

    /// Hands what the file holds to `body`, unless there is none.
    func read<Value>(
        _ body: (_ head: SessionHead, _ rest: SessionReader) throws(LeafError) -> Value
    ) throws(LeafError) -> Value? {
        guard FilePath.exists(path) else { return nil }
        let reader = try SessionReader(InputFile(path: path))
        return try body(SessionHead(reader), reader)
    }

    /// Replaces the file by what `body` writes, or leaves it as it is.
    ///
    /// - Parameter isLast: whether the generation has ended.
    /// - Returns: whether it is saved; else `failure` says why not.
    func save(isLast: Bool, _ body: (SessionWriter) throws(LeafError) -> Void) -> Bool {
        do throws(LeafError) {
            let bytes = try write(body)
            status.withLock { $0 = Status(bytes: bytes) }
            return true
        } catch {
            let failure = LeafError(error.kind, "the session was not saved: \(error)")
            status.withLock { ($0.failure, $0.wasLast) = (failure, isLast) }
            return false
        }
    }

    private func write(_ body: (SessionWriter) throws(LeafError) -> Void) throws(LeafError) -> Int {
        let part = target + ".part"
        let output = try OutputFile(path: part, calls: calls)
        try output.lock(for: "run")
        do throws(LeafError) {
            try output.truncate(to: 0)
            let writer = try SessionWriter(output)
            try body(writer)
            try writer.finish()
            try FilePath.rename(part, to: target)
            return writer.byteCount
        } catch {
            // On a full disk its room is wanted elsewhere.
            try? FilePath.remove(part)
            throw error
        }
    }
}
