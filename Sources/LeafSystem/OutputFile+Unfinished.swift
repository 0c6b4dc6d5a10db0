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
    ///   - patience: how long to wait for another run that is writing it.
    /// - Throws: `.io` if it cannot be written or another run is writing it, `.usage` if something would be lost.
    package static func unfinished(
        _ result: String, patience: Duration = .zero, calls: WriteCalls = WriteCalls()
    ) throws(LeafError) -> OutputFile {
        try checkIsIdle(result)
        let part = try locked(OutputTarget.Companion.part.path(of: result), patience, calls)
        try requireUnfinished(part.path)
        try part.takePermissions(of: result)
        try part.truncate(to: 0)
        return part
    }

    /// Lets nobody read or write it who may not do so with the file whose place it will take.
    ///
    /// - Throws: `.io` if that may not be written.
    package func takePermissions(of result: String) throws(LeafError) {
        var status = stat()
        guard lstat(result, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
        guard access(result, W_OK) == 0 else { throw .system("\(result) cannot be written", errno) }
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
    /// - Parameter path: nothing needs to be there.
    /// - Throws: `.usage`, `.io`.
    package static func requireUnfinished(_ path: String) throws(LeafError) {
        guard let identity = FilePath.identity(of: path) else { return }
        guard identity.isRegular else { throw .notRegular(path) }
        let input = try InputFile(path: path)
        let head = try input.bytes(at: 0, count: min(unfinishedHead.count, input.byteCount))
        guard head.allSatisfy({ $0 == 0 }) else { throw .wouldBeLost(path) }
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
    }

    /// Makes a file, or replaces it, that gets its name when `write` has filled it and all of it is on the disk; of one
    /// that was not finished nothing is left. One that another run is writing is left alone.
    package static func replace<Value>(
        _ path: String, calls: WriteCalls = WriteCalls(), _ write: (OutputFile) throws(LeafError) -> Value
    ) throws(LeafError) -> Value {
        let part = try unfinished(path, calls: calls)
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

    /// Refuses a name under which another run is making something that it will call otherwise.
    ///
    /// - Parameter path: where links lead.
    /// - Throws: `.io`.
    package static func checkIsIdle(_ path: String) throws(LeafError) {
        // What has its name already may be locked for a moment more.
        let names = OutputTarget.Companion.allCases.filter { $0 != .acceptance }
        guard names.contains(where: { path.hasSuffix(".\($0.rawValue)") }) else { return }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard isLocked(descriptor) else { throw .inUse(path, by: "run") }
    }
}
