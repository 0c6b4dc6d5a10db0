import Dispatch
import Glibc
import LeafBatch
package import LeafFormat
package import LeafSystem
package import LeafWire

/// The files that clients send and batches make, and what is kept of batches, in a folder of the server's own.
///
/// A file is there once its record is: `ID.json` beside `ID`. Whatever has no record was not finished, and is gone when
/// the folder is opened next. Any thread may call it; it waits for the disk.
package final class FileStore: Sendable {
    /// What the folder may come to hold.
    package struct Limits: Sendable {
        package var files = 256
        /// Of all files together.
        package var bytes = 1 << 30
        /// Batches of which something is kept; the oldest that are over are forgotten.
        var batches = 64
        /// Batches that are not over, beside the one that runs.
        package var waitingBatches = 16

        package init() {}

        /// Bytes that records take, and a list of all of them while it is made.
        var heapBytes: Int { files *| (4 << 10) +| batches *| (16 << 10) +| AnswerLog.copyBytes }
    }

    struct State {
        var files: [String: FileRecord] = [:]
        var batches: [String: BatchRecord] = [:]
        /// Files that are being received, and their bytes so far.
        var received = (count: 0, bytes: 0)
        /// Answers of the batch that runs.
        var answerBytes = 0
        var running: Running?
        /// Batches that only a server with other options can go on with.
        var setAside: Set<String> = []
        /// Batches that wait because the disk takes nothing, until they go on.
        var withoutRoom: Set<String> = []
        /// Of the file that came last.
        var lastNumber = 0
        var isStopped = false
        /// Keeps other servers out.
        let lock: FolderLock

        var byteCount: Int { files.values.reduce(0) { $0 + $1.byteCount } + received.bytes + answerBytes }
        var unfinished: [BatchRecord] { batches.values.filter { !$0.status.isOver } }

        /// Takes a number for a file that comes.
        mutating func number() -> Int {
            lastNumber += 1
            return lastNumber
        }
    }

    let folder: String
    let limits: Limits
    /// Seconds since 1970.
    let now: @Sendable () -> Int
    let calls: WriteCalls
    /// Between two attempts to write to a disk that is full.
    private let rest: Duration
    /// Takes a sentence for the server's owner.
    let warn: @Sendable (String) -> Void
    private let monitor: Monitor<State>

    /// - Parameters:
    ///   - folder: is made if there is none.
    ///   - warn: called with a sentence when a batch begins to wait for something, from any thread.
    /// - Throws: `.io` if it takes no files, or another server uses it; `.badInput` for a record that is damaged.
    package init(
        folder: String, _ limits: Limits = Limits(), calls: WriteCalls = WriteCalls(),
        rest: Duration = .seconds(5), warn: @escaping @Sendable (String) -> Void = { _ in },
        now: @escaping @Sendable () -> Int = { AnswerDesk.secondsNow() }
    ) throws(LeafError) {
        (self.folder, self.limits, self.calls, self.rest, self.now) = (folder, limits, calls, rest, now)
        self.warn = warn
        // What clients send is nobody else's business.
        if try FilePath.makeFolder(folder), chmod(folder, 0o700) != 0 {
            throw .system("the folder \(folder) cannot be made", errno)
        }
        var state = State(lock: try FolderLock(folder))
        try Self.tryWriting(in: folder)
        try Self.load(&state, folder, limits)
        for var batch in state.unfinished where batch.outcome == nil {
            batch.counts = Self.countAnswers(of: batch, in: folder)
            state.batches[batch.id] = batch
        }
        state.lastNumber = state.files.values.map(\.number).max() ?? 0
        monitor = Monitor(state, events: 1)
    }

    // MARK: State

    func withState<Value>(
        _ body: (inout State) throws(ServedError) -> Value
    ) throws(ServedError) -> Value {
        try monitor.withLock { state in Result { () throws(ServedError) in try body(&state) } }.get()
    }

    func look<Value>(_ body: (inout State) -> Value) -> Value { monitor.withLock(body) }

    func wait<Value>(_ answer: (inout State) -> Value?) -> Value { monitor.wait(for: .batch, answer) }

    /// - Parameter time: when the answer may be another one, though nobody wakes whoever waits; nil for never.
    func wait<Value>(lookingAt time: (State) -> UInt64?, _ answer: (inout State) -> Value?) -> Value {
        monitor.wait(for: .batch, lookingAt: time, answer)
    }

    /// Waits a little for room on the disk.
    ///
    /// - Returns: false once no batch goes on in this server.
    func pause() -> Bool {
        let (seconds, atto) = rest.components
        let end = DispatchTime.now().uptimeNanoseconds + UInt64(seconds) * 1_000_000_000 + UInt64(atto / 1_000_000_000)
        return monitor.sleep(until: end, for: .batch) { $0.isStopped }
    }

    /// A batch has come, or nothing more is to be done.
    func wake() { monitor.wakeAll(.batch) }

    // MARK: Paths

    /// - Parameter id: one that this server made.
    func path(_ id: String) -> String { folder + "/" + id }

    func write(_ line: String, recordOf id: String) throws(LeafError) {
        try OutputFile.replace(path(id) + ".json", calls: calls) { file throws(LeafError) in
            try file.write(Array(line.utf8), at: 0)
        }
    }

    /// Takes a file away; its record goes first.
    func remove(_ id: String) throws(LeafError) {
        try FilePath.remove(path(id) + ".json")
        try FilePath.remove(path(id))
    }

    // MARK: Opening

    /// Makes a file and takes it away again: permissions do not tell whether a file system takes any, and the first
    /// client should not have to find out.
    private static func tryWriting(in folder: String) throws(LeafError) {
        let path = folder + "/" + StoredID.make(StoredID.file)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw LeafError(
                .io,
                "no file can be made in the folder \(folder): \(LeafError.reason(of: errno)); "
                    + "give the server one that it may write to")
        }
        close(descriptor)
        try FilePath.remove(path)
    }

    private static func load(_ state: inout State, _ folder: String, _ limits: Limits) throws(LeafError) {
        let most = 4 *| (limits.files +| limits.batches) +| 256
        let names = try FilePath.names(in: folder, atMost: most + 1)
        guard names.count <= most else {
            throw LeafError(
                .usage, "\(folder) holds more than \(most) files; give the server a folder of its own, or allow more")
        }
        for name in names where name.hasSuffix(".json") {
            let id = String(name.dropLast(5))
            let isFile = StoredID.isMade(id, StoredID.file)
            guard isFile || StoredID.isMade(id, StoredID.batch) else { continue }
            do throws(LeafError) {
                let line = try InputFile(path: folder + "/" + name).bytes(atMost: recordLimit, what: "record")
                if isFile {
                    state.files[id] = try FileRecord(line: line)
                } else {
                    state.batches[id] = try BatchRecord(line: line)
                }
            } catch {
                throw LeafError(error.kind, "\(folder)/\(name): \(error); remove it, or put it back")
            }
        }
        for name in names where isLeftOver(name, state) { try FilePath.remove(folder + "/" + name) }
        for id in state.files.keys where !names.contains(id) {
            try FilePath.remove(folder + "/" + id + ".json")
            state.files[id] = nil
        }
    }

    private static let recordLimit = 64 << 10

    /// Whether a server that was killed has left something that belongs to nothing.
    private static func isLeftOver(_ name: String, _ state: State) -> Bool {
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let (id, ending) = (parts[0], parts.count > 1 ? parts[1] : "")
        if StoredID.isMade(id, StoredID.file) {
            let isMade = state.unfinished.contains { $0.outcome != nil && [$0.output, $0.errors].contains(id) }
            return ["part", "json.part"].contains(ending) || ending == "" && state.files[id] == nil && !isMade
        }
        guard StoredID.isMade(id, StoredID.batch) else { return false }
        return ending == "json.part" || ending.hasPrefix("answers") && state.batches[id]?.status.isOver != false
    }

    // MARK: Receiving

    /// Takes a form with a file.
    ///
    /// - Parameter next: the body's next piece; nil at its end.
    /// - Returns: what is kept, and fields that nobody knows.
    /// - Throws: 400 and 415 for what is no such form, 507 where there is no room. Nothing stays of it then.
    package func receive(
        contentType: String?, for owner: String, _ next: () -> [UInt8]?
    ) throws(ServedError) -> (record: FileRecord, ignored: UnknownFields) {
        var reader = try MultipartReader(contentType: contentType)
        try withState { state throws(ServedError) in
            guard state.files.count + state.received.count < limits.files else {
                throw .full("there are as many files as may be, \(limits.files); delete some")
            }
            state.received.count += 1
        }
        let id = StoredID.make(StoredID.file)
        var form = UploadForm()
        defer {
            look { state in
                state.received.count -= 1
                state.received.bytes -= form.byteCount
            }
        }
        do throws(ServedError) {
            let part = try withDisk { () throws(LeafError) in try OutputFile(path: path(id) + ".part", calls: calls) }
            while let piece = next() {
                try reader.take(piece) { event throws(ServedError) in
                    guard let bytes = try form.take(event) else { return }
                    try grow(by: bytes.count)
                    let place = form.byteCount
                    form.byteCount += bytes.count
                    try withDisk { () throws(LeafError) in try part.write(Array(bytes), at: place) }
                }
            }
            try reader.finish()
            return try (keep(form.record(id, owner, created: now()), part), form.ignored)
        } catch {
            try? FilePath.remove(path(id) + ".part")
            try? remove(id)
            throw error
        }
    }

    private func keep(_ record: FileRecord, _ part: OutputFile) throws(ServedError) -> FileRecord {
        var record = record
        record.number = look { $0.number() }
        try withDisk { () throws(LeafError) in
            try part.synchronize()
            try FilePath.rename(part.path, to: path(record.id))
            try write(record.line, recordOf: record.id)
        }
        look { [record] in $0.files[record.id] = record }
        return record
    }

    private func grow(by count: Int) throws(ServedError) {
        try withState { state throws(ServedError) in
            guard state.byteCount + count <= limits.bytes else {
                throw .full("the files would take more than the \(limits.bytes.sizeText) that they may; delete some")
            }
            state.received.bytes += count
        }
    }

    /// Does something with the folder.
    ///
    /// - Throws: 507 for a full disk, 500 for one that fails.
    func withDisk<Value>(_ body: () throws(LeafError) -> Value) throws(ServedError) -> Value {
        do throws(LeafError) { return try body() } catch { throw ServedError(ofDisk: error) }
    }

    // MARK: Asking

    /// - Parameter field: of a body, which names the file; nil where the path does.
    func file(_ id: String, of owner: String, in field: String? = nil) throws(ServedError) -> FileRecord {
        guard let record = look({ $0.files[id] }), record.owner == owner else { throw .noFile(id, in: field) }
        return record
    }

    package func files(_ page: PageQuery, of owner: String) throws(ServedError) -> JSON {
        guard page.purpose.map({ FileRecord.Purpose(rawValue: $0) != nil }) ?? true else {
            throw .badQuery("purpose", "is not batch or batch_output")
        }
        let own = look { state in
            state.files.values.filter { file in
                file.owner == owner && (page.purpose == nil || page.purpose == file.purpose.rawValue)
            }
        }.sorted { $0.isOlder(than: $1) }
        return try page.cut(own, id: \.id, json: \.json)
    }

    package func content(_ id: String, of owner: String) throws(ServedError) -> InputFile {
        let record = try file(id, of: owner)
        return try withDisk { () throws(LeafError) in try InputFile(path: path(record.id)) }
    }

    /// - Throws: 404, 400 for one that a batch still reads.
    package func delete(_ id: String, of owner: String) throws(ServedError) -> JSON {
        _ = try file(id, of: owner)
        try withState { state throws(ServedError) in
            if let batch = state.unfinished.first(where: { $0.input == id }) {
                throw ServedError(
                    status: .badRequest, "\(batch.id) reads the file and is not over; cancel it first",
                    code: "file_in_use")
            }
            try withDisk { () throws(LeafError) in try remove(id) }
            state.files[id] = nil
        }
        return ["id": .string(id), "object": "file", "deleted": .bool(true)]
    }
}

extension Monitor.Event {
    fileprivate static var batch: Self { Self(0) }
}
