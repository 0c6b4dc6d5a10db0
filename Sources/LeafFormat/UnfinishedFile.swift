/// A small file that gets its name when it is whole, and is gone when it never becomes so.
///
/// It is made at once, so that a path that cannot be written is known before the work is done.
package final class UnfinishedFile {
    private let path: String
    private let output: OutputFile
    private var pending: [UInt8] = []
    private var written = 0
    private var isFinished = false

    private var unfinishedPath: String { path + ".part" }

    /// - Throws: `.io` when it cannot be made.
    package init(path: String) throws(LeafError) {
        guard !FilePath.isDirectory(path) else { throw LeafError(.io, "\(path) is a directory; name a file") }
        self.path = path
        output = try OutputFile(path: path + ".part")
        try output.truncate(to: 0)
    }

    deinit { if !isFinished { try? FilePath.remove(unfinishedPath) } }

    package func append(_ text: String) throws(LeafError) {
        pending += text.utf8
        if pending.count >= 1 << 16 { try flush() }
    }

    package func finish() throws(LeafError) {
        try flush()
        try FilePath.rename(unfinishedPath, to: path)
        isFinished = true
    }

    /// Writes what has been appended, for whoever looks into the unfinished file.
    package func flush() throws(LeafError) {
        try output.write(pending, at: written)
        written += pending.count
        pending.removeAll(keepingCapacity: true)
    }
}
