import Glibc

/// A result that is not whole has the name `NAME.part`, and begins with zeros. Nothing of worth does: neither model
/// files nor sessions, texts nor safetensors. So a run knows what a killed one left from what is somebody's.
extension OutputFile {
    /// What stands in place of an unfinished file's first bytes.
    package static let unfinishedHead = [UInt8](repeating: 0, count: 8)

    /// Opens an empty file for a result that will be called otherwise, and keeps other runs away from it.
    ///
    /// - Parameters:
    ///   - result: where links lead.
    ///   - own: what this run has of the result already.
    ///   - patience: how long to wait for another run that is writing it.
    ///   - ownHead: what begins with it under the unfinished name is a killed run's, whole or not, and of no worth.
    /// - Throws: `.io` if it cannot be written or another run is writing it, `.usage` if something would be lost.
    package static func unfinished(
        _ result: String, besides own: [OutputTarget.Companion] = [], patience: Duration = .zero,
        ownHead: [UInt8] = [], calls: WriteCalls = WriteCalls()
    ) throws(LeafError) -> OutputFile {
        try checkIsIdle(result, besides: own + [.part])
        try checkMayBeReplaced(result)
        try checkIsNoConversion(result)
        let path = OutputTarget.Companion.part.path(of: result)
        var part = try locked(path, patience, calls)
        try requireUnfinished(path, ownHead: ownHead)
        if part.hasOtherNames {
            // They are somebody's, and so is what they lead to.
            try FilePath.remove(path)
            part = try locked(path, patience, calls)
        }
        part.takePermissions(of: result)
        try part.truncate(to: 0)
        return part
    }

    /// Refuses what a process may not write, though it could give its name to another file.
    ///
    /// - Parameter result: nothing needs to be there.
    /// - Throws: `.io`.
    package static func checkMayBeReplaced(_ result: String) throws(LeafError) {
        guard FilePath.identity(of: result)?.isRegular == true, access(result, W_OK) != 0 else { return }
        throw .system("\(result) cannot be written", errno)
    }

    /// Refuses the place of a model file that is being made, and that only its own command can go on with.
    ///
    /// - Throws: `.usage`.
    package static func checkIsNoConversion(_ result: String) throws(LeafError) {
        let (part, journal) = (
            OutputTarget.Companion.part.path(of: result), OutputTarget.Companion.journal.path(of: result)
        )
        guard FilePath.exists(part), FilePath.exists(journal) else { return }
        throw LeafError(
            .usage,
            "\(part) is an unfinished conversion; go on with the command that began it, or remove \(part) and "
                + journal)
    }

    /// Lets nobody read or write it who may not do so with the file whose place it will take.
    package func takePermissions(of result: String) {
        var status = stat()
        guard lstat(result, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
        setPermissions(status)
    }

    private static func locked(
        _ path: String, _ patience: Duration, _ calls: WriteCalls
    ) throws(LeafError) -> OutputFile {
        let end = ContinuousClock.now + patience
        while true {
            // Whoever held the lock has renamed what was opened.
            let output = try OutputFile(path: path, holdsHead: true, calls: calls)
            switch Result(catching: { () throws(LeafError) in try output.lock(for: "run") }) {
            case .success: return output
            case .failure(let error):
                guard ContinuousClock.now < end else { throw error }
                usleep(50_000)
            }
        }
    }

    /// Refuses a file that may be all that there is of something: one that is not empty, and not unfinished.
    ///
    /// - Parameters:
    ///   - path: nothing needs to be there.
    ///   - ownHead: what begins with it is of no worth, too.
    /// - Throws: `.usage`, `.io`.
    package static func requireUnfinished(_ path: String, ownHead: [UInt8] = []) throws(LeafError) {
        guard let identity = FilePath.identity(of: path) else { return }
        guard identity.isRegular else { throw .notRegular(path) }
        let input = try InputFile(path: path)
        let head = try input.bytes(at: 0, count: min(unfinishedHead.count, input.byteCount))
        guard !head.allSatisfy({ $0 == 0 }) else { return }
        let own = try input.bytes(at: 0, count: min(ownHead.count, input.byteCount))
        guard !ownHead.isEmpty, own == ownHead else { throw .wouldBeLost(path) }
    }

    /// Gives a file that `unfinished` made its name.
    ///
    /// - Parameter isDurable: whether all of it is to be on the disk before.
    package func finish(as result: String, isDurable: Bool) throws(LeafError) {
        // Between its head and its name lies as little as may be: a run that is killed there leaves it for people.
        if isDurable { try synchronize() }
        try writeHead()
        if isDurable { try synchronize() }
        try FilePath.rename(path, to: result)
        unlock()
    }

    /// Gives files that `unfinished` made, and that are worth something only together, their names.
    ///
    /// The last one gets its name first and its head last: until then nobody takes it for whole.
    ///
    /// - Parameter tidy: called when all names are given.
    package static func finish(
        _ parts: [(file: OutputFile, result: String)], _ tidy: () throws(LeafError) -> Void
    ) throws(LeafError) {
        guard let last = parts.last else { return }
        for part in parts { try part.file.synchronize() }
        try FilePath.rename(last.file.path, to: last.result)
        for part in parts.dropLast() { try part.file.finish(as: part.result, isDurable: true) }
        try tidy()
        try FilePath.synchronizeFolder(of: last.result)
        try last.file.writeHead()
        try last.file.synchronize()
        last.file.unlock()
    }

    /// Makes a file, or replaces it, that gets its name when `write` has filled it and all of it is on the disk; of one
    /// that was not finished nothing is left. One that another run is writing is left alone.
    ///
    /// - Parameter own: what this run has of it already.
    package static func replace<Value>(
        _ path: String, besides own: [OutputTarget.Companion] = [], calls: WriteCalls = WriteCalls(),
        _ write: (OutputFile) throws(LeafError) -> Value
    ) throws(LeafError) -> Value {
        let part = try unfinished(path, besides: own, calls: calls)
        do throws(LeafError) {
            let value = try write(part)
            try part.finish(as: path, isDurable: true)
            return value
        } catch {
            // On a full disk other files need the space. What has its name already must not be cut.
            if part.isNamed { try? FilePath.remove(part.path) }
            throw error
        }
    }

    /// Refuses a result that another run is writing or keeps, or a name under which it makes something that it will
    /// call otherwise.
    ///
    /// - Parameters:
    ///   - path: where links lead.
    ///   - own: what this run has locked, or is about to lock, beside it.
    /// - Throws: `.io`.
    package static func checkIsIdle(
        _ path: String, besides own: [OutputTarget.Companion] = []
    ) throws(LeafError) {
        let companions = OutputTarget.Companion.thatAreLocked.filter { !own.contains($0) }
        for path in [path] + companions.map({ $0.path(of: path) }) {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            guard isLocked(descriptor) else { throw .inUse(path, by: "run") }
        }
    }
}
