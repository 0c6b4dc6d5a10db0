import Glibc

/// A result that is written from its beginning to its end. A file gets its name when it is whole, and is gone when it
/// never becomes so; devices, pipes and standard output are written straight (`OutputTarget`).
///
/// It is created at once, so that a path that cannot be written is found before the work is done.
package final class UnfinishedFile {
    private enum Target {
        case beside(OutputFile, path: String)
        case straight(descriptor: Int32, StraightOutput)
    }

    private let path: String
    private let target: Target
    private var pending: [UInt8] = []
    private var written = 0
    private var isFinished = false
    private var failure: LeafError?

    /// - Parameters:
    ///   - patience: how long to wait for another run that is writing it.
    ///   - ownHead: what begins with it under the unfinished name is a killed run's, whole or not, and of no worth.
    ///   - isCancelled: whether nobody wants to wait any more for whoever reads a pipe.
    /// - Throws: `.io` when it cannot be made or another run is writing it, `.usage` for what can not be a result, and
    ///   where somebody's file has the name that it has until it is whole.
    package init(
        path: String, patience: Duration = .zero, ownHead: [UInt8] = [],
        isCancelled: @escaping @Sendable () -> Bool
    ) throws(LeafError) {
        self.path = path
        switch try OutputTarget(path: path) {
        case .stream(let descriptor):
            self.target = .straight(
                descriptor: descriptor, StraightOutput(descriptor, isCancelled: isCancelled))
        case .file(let target):
            self.target = .beside(try OutputFile.unfinished(target, patience: patience, ownHead: ownHead), path: target)
        }
    }

    deinit {
        switch target {
        case .straight(let descriptor, _): close(descriptor)
        case .beside: abandon()
        }
    }

    /// Leaves nothing of a file that will not be whole. Who failed does it at once: other threads may own it as well,
    /// and the process may end before they do.
    private func abandon() {
        guard case .beside(let output, _) = target, !isFinished else { return }
        isFinished = true
        try? FilePath.remove(output.path)
    }

    /// - Throws: `.io`, `.cancelled` if the wait for a reader was given up.
    package func append(_ text: String) throws(LeafError) {
        if let failure { throw failure }
        pending += text.utf8
        if pending.count >= 1 << 16 { try flush() }
    }

    package func append(_ bytes: UnsafeRawBufferPointer) throws(LeafError) {
        try flush()
        try write(bytes)
    }

    /// Gives the file its name.
    ///
    /// - Parameter isDurable: whether all of it is to be on the disk before.
    package func finish(isDurable: Bool = false) throws(LeafError) {
        try flush()
        // What cannot get its name stays under the other one: the work is done.
        isFinished = true
        if case .beside(let output, let path) = target { try output.finish(as: path, isDurable: isDurable) }
    }

    /// Writes everything appended so far, for people who look into the unfinished file.
    package func flush() throws(LeafError) {
        try pending.withUnsafeBufferPointer { (bytes) throws(LeafError) in try write(UnsafeRawBufferPointer(bytes)) }
        pending.removeAll(keepingCapacity: true)
    }

    /// What cannot be written once is not tried again: each wait for a reader who is gone would take its second.
    private func write(_ bytes: UnsafeRawBufferPointer) throws(LeafError) {
        if let failure { throw failure }
        do throws(LeafError) {
            try put(bytes)
        } catch {
            failure = error
            abandon()
            throw error
        }
        written += bytes.count
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws(LeafError) {
        switch target {
        case .beside(let output, _): try output.write(bytes, at: written)
        case .straight(let descriptor, let output):
            if written == 0 { try begin(descriptor) }
            if let code = output.write(bytes) {
                guard code != EINTR else { throw LeafError(.cancelled, "interrupted") }
                throw .system("\(path) cannot be written", code)
            }
        }
    }

    /// A file that is mounted by itself loses what it held.
    private func begin(_ descriptor: Int32) throws(LeafError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            lseek(descriptor, 0, SEEK_CUR) == 0, descriptor > STDERR_FILENO, !path.hasPrefix("/dev/")
        else { return }
        guard ftruncate(descriptor, 0) == 0 else { throw .system("\(path) cannot be cut to 0 bytes", errno) }
    }
}
