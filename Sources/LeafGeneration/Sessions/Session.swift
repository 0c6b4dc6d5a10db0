import LeafFormat
public import LeafSystem
import Synchronization

/// A file that keeps one generation, so that it can be continued later and gives the same bytes as without the stop.
///
/// The file is written at the end, when the caller stops the generation, and at an interval if requested. Each time a
/// new file is written beside the old one, which stays complete until then. A third file is there and locked from the
/// beginning to the end, so that no other run goes on from the same state: a lock on one that is renamed would go with
/// it. Documentation/session.md describes it.
public final class Session: Sendable {
    public let path: String
    /// The number of tokens of a text between two savings; nil to save only at the end.
    public let interval: Int?

    private struct Status {
        var bytes = 0
        var failure: LeafError?
        var wasLast = false
        /// Keeps other runs out; nil while no generation is under way.
        var lock: OutputFile?
    }
    private let status = Mutex(Status())
    /// Where links lead.
    private let target: String
    /// Everything that is written for it.
    package var results: [String] { [target, part, lockPath] }
    private var part: String { OutputTarget.Companion.part.path(of: target) }
    private var lockPath: String { OutputTarget.Companion.lock.path(of: target) }
    private let calls: WriteCalls

    /// Names a session, but reads and writes nothing yet.
    ///
    /// - Throws: `.usage` for an invalid interval, `.io` if no file can be written there.
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

    deinit { letGo() }

    /// Refuses a session that would take the place of what its run reads.
    ///
    /// - Throws: `.usage`.
    package func check(isNoneOf inputs: [String]) throws(LeafError) {
        try OutputTarget.check(path, with: OutputTarget.Companion.ofSession, isNoneOf: inputs)
    }

    /// The contents of a session's file.
    public struct Contents: Sendable, Equatable {
        /// `<s>` first, without the soft prompt.
        public let promptIDs: [Int32]
        public let seed: UInt64
        /// Tokens of the longest text so far.
        public let tokens: Int
        /// Everything else that it was begun with, in the order of the file.
        package let fields: [SessionHead.Field]
    }

    /// How far the texts of a file have come.
    package enum Progress: Sendable {
        /// Not even the prompt was read.
        case notBegun
        /// Of each text its tokens, and whether it ended for another reason than its length.
        case texts([(tokens: Int, hasEnded: Bool)])
        case beams(hasEnded: Bool)
    }

    /// Reads what the file holds, and how far its texts have come. All of it is read, so that damage is found.
    ///
    /// - Throws: `.io`, also for a file that there is not, and `.badInput` for one that is damaged or no session.
    package func inspect() throws(LeafError) -> (contents: Contents, progress: Progress) {
        var allowance = HeapAllowance.unlimited
        let found = try read(comparedWith: nil, &allowance) { head, reader throws(LeafError) in
            let progress = try Self.progress(reader, of: head.contents)
            try reader.skipRest()
            return (head.contents, progress)
        }
        guard let found else { throw LeafError(.io, "\(path): there is no such file; check the path") }
        return found
    }

    private static func progress(_ reader: SessionReader, of contents: Contents) throws(LeafError) -> Progress {
        if contents.value(of: "max-tokens") != nil {
            // Beams. Without tokens nothing follows.
            return try reader.flag() ? .beams(hasEnded: reader.flag()) : .notBegun
        }
        let count = try reader.count(atMost: GenerationOptions.mostSequences)
        guard count > 0 else { return .notBegun }
        let hasLogprobs = contents.value(of: "logprobs") != "none"
        var texts: [(tokens: Int, hasEnded: Bool)] = []
        for _ in 0..<count {
            let tokens = try reader.count(atMost: Int(Int32.max))
            try reader.skip(tokens * MemoryLayout<Int32>.stride)
            texts.append((tokens, try reader.flag()))
            guard hasLogprobs else { continue }
            for _ in 0..<tokens { try SessionText.skipLogprobs(reader) }
        }
        return .texts(texts)
    }

    /// Reads the file; nil if there is none yet.
    ///
    /// - Throws: `.io`, and `.badInput` for a file that is damaged or no session.
    public func contents() throws(LeafError) -> Contents? {
        var allowance = HeapAllowance.unlimited
        return try contents(&allowance)
    }

    /// The same inside a budget.
    ///
    /// - Parameter allowance: has to hold them while they are read.
    package func contents(_ allowance: inout HeapAllowance) throws(LeafError) -> Contents? {
        try read(comparedWith: nil, &allowance) { head, _ throws(LeafError) in head.contents }
    }

    /// The error of the last saving; nil if it succeeded.
    public var failure: LeafError? { status.withLock(\.failure) }
    /// The error of the last saving while the generation goes on and will try again; nil once it has ended.
    public var passingFailure: LeafError? { status.withLock { $0.wasLast ? nil : $0.failure } }
    /// Bytes of the last saved file; 0 if nothing was saved.
    public var savedBytes: Int { status.withLock(\.bytes) }

    /// Passes the contents of the file to `body`, if there is a file.
    ///
    /// - Parameters:
    ///   - own: the head that the file's is to be compared with; nil to read all of it.
    ///   - allowance: has to hold two buffers, and what is kept of the head; gets all of it back.
    func read<Value>(
        comparedWith own: SessionHead?, _ allowance: inout HeapAllowance,
        _ body: (_ head: SessionHead, _ rest: SessionReader) throws(LeafError) -> Value
    ) throws(LeafError) -> Value? {
        guard FilePath.exists(path) else { return nil }
        let heldBefore = allowance.held
        defer { allowance.give(back: allowance.held - heldBefore) }
        try allowance.take(SessionWriter.bufferBytes, for: "its buffers", of: path)
        let reader = try SessionReader(InputFile(path: path))
        return try body(SessionHead(reader, comparedWith: own, &allowance), reader)
    }

    /// The same for a file whose head must be like another; the plan of a model that keeps sessions has the memory.
    func read<Value>(
        comparedWith own: SessionHead,
        _ body: (_ head: SessionHead, _ rest: SessionReader) throws(LeafError) -> Value
    ) throws(LeafError) -> Value? {
        var allowance = HeapAllowance.unlimited
        return try read(comparedWith: own, &allowance, body)
    }

    /// Replaces the file by the output of `body`, or leaves it unchanged on an error.
    ///
    /// - Parameter isLast: whether the generation has ended.
    /// - Returns: whether it was saved; if not, `failure` says why.
    func save(isLast: Bool, _ body: (SessionWriter) throws(LeafError) -> Void) -> Bool {
        do throws(LeafError) {
            let bytes = try write(isLast: isLast, body)
            status.withLock { ($0.bytes, $0.failure, $0.wasLast) = (bytes, nil, false) }
            return true
        } catch {
            let failure = LeafError(error.kind, "the session was not saved: \(error)")
            status.withLock { ($0.failure, $0.wasLast) = (failure, isLast) }
            return false
        }
    }

    private func write(
        isLast: Bool, _ body: (SessionWriter) throws(LeafError) -> Void
    ) throws(LeafError) -> Int {
        if status.withLock({ $0.lock == nil }) { try hold() }
        defer { if isLast { letGo() } }
        return try OutputFile.replace(target, besides: [.lock], calls: calls) { output throws(LeafError) in
            let writer = try SessionWriter(output)
            try body(writer)
            try writer.finish()
            return writer.byteCount
        }
    }

    /// Keeps other runs out until `letGo()`, or until the last saving, and removes what a killed run did not finish.
    ///
    /// - Throws: `.io` if another run has the session, or nothing can be written there, `.usage` if something else
    ///   would be lost.
    func hold() throws(LeafError) {
        try OutputFile.checkIsIdle(target, besides: [.lock])
        try OutputFile.checkMayBeReplaced(target)
        try OutputFile.checkIsNoConversion(target)
        let isLeft = FilePath.exists(lockPath)
        let lock = try OutputFile(path: lockPath)
        try lock.lock(for: "run")
        try lock.requireEmpty()
        do throws(LeafError) {
            // A lock that a killed run left vouches for the other file, which may be whole but for its name.
            if !isLeft { try OutputFile.requireUnfinished(part) }
            try FilePath.remove(part)
        } catch {
            try? FilePath.remove(lock.path)
            throw error
        }
        status.withLock { $0.lock = lock }
    }

    /// Leaves nothing beside the file, and lets other runs in.
    func letGo() {
        let lock = status.withLock { status in
            defer { status.lock = nil }
            return status.lock
        }
        if let lock { try? FilePath.remove(lock.path) }
    }
}
