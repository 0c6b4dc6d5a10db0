import LeafSystem

/// The folder of an export, from what it holds before until it is a whole checkpoint.
///
/// What it holds stays until the new files are whole under other names. `config.json` stands for all: it gets its name
/// first, with zeros for its first bytes, and these bytes last. So a run that is killed while it gives names leaves
/// nothing that a program takes for a checkpoint, and the next one knows whose work it finds.
struct ExportFolder {
    private let path: String
    /// The files that the export makes, the configuration last.
    private let made: [String]
    /// Other files of a checkpoint, which would not belong to the new one.
    private let stale: [String]
    private let lock: FolderLock
    private let calls: WriteCalls
    private var parts: [(file: OutputFile, result: String)] = []

    /// Files that loaders look for; shards are told by their names.
    private static let usualNames = [
        ExportShards.configurationName, ExportShards.vocabularyName, ExportShards.weightsName, ExportShards.indexName,
        ExportShards.headName, ExportShards.headIndexName,
    ]
    /// Names of a folder to look at.
    private static let mostNames = 1 << 16

    /// Locks the folder, and refuses whatever stands in the way; nothing of worth is removed.
    ///
    /// - Parameters:
    ///   - made: the names of the files that will be made.
    ///   - model: that they are made from.
    ///   - replacesExisting: whether files of a checkpoint may be replaced and removed.
    ///   - byteCount: of the files that will be made.
    /// - Throws: `.usage` for files that would be lost, `.io`.
    init(
        _ path: String, making made: [String], of model: String, replacesExisting: Bool, byteCount: Int,
        _ calls: WriteCalls
    ) throws(LeafError) {
        (self.path, self.made, self.calls) = (path, made, calls)
        // Another export would lose what it has made.
        lock = try FolderLock(path)
        let names = try FilePath.names(in: path, atMost: Self.mostNames)
        let held = Self.usualNames.filter(names.contains) + names.filter { Self.isShard($0) }
        stale = held.filter { !made.contains($0) }
        let isLeft = try Self.isLeftUnfinished(path)
        let owned = isLeft ? stale : held
        guard owned.isEmpty || replacesExisting else {
            throw LeafError(
                .usage,
                "\(path) holds \(Self.list(owned)) already; give another folder, or replace what it has of a "
                    + "checkpoint", advice: .setting("force"))
        }
        for name in made + stale { try check(name, of: model, isLeft: isLeft) }
        // What is not whole only takes room.
        for name in made { try FilePath.remove(OutputTarget.Companion.part.path(of: "\(path)/\(name)")) }
        let free = try FilePath.freeBytes(at: "\(path)/\(ExportShards.configurationName)")
        guard byteCount <= free else {
            throw LeafError(
                .io,
                "\(path) needs \(byteCount.diskText) on its disk, where \(free.diskText) are free; "
                    + "choose another place")
        }
    }

    private func check(_ name: String, of model: String, isLeft: Bool) throws(LeafError) {
        let file = "\(path)/\(name)"
        if let held = FilePath.identity(of: file), !held.isRegular, !held.isLink { throw .notRegular(file) }
        try OutputTarget.check(file, isNoneOf: [model])
        try OutputFile.checkIsIdle(file)
        try OutputFile.checkMayBeReplaced(file)
        guard made.contains(name) else { return }
        try OutputFile.checkIsNoConversion(file)
        if !isLeft { try OutputFile.requireUnfinished(OutputTarget.Companion.part.path(of: file)) }
    }

    /// Whether a run was killed while it gave names, so that all that has the name of a result is what it made, or
    /// would have replaced.
    private static func isLeftUnfinished(_ path: String) throws(LeafError) -> Bool {
        let configuration = "\(path)/\(ExportShards.configurationName)"
        guard FilePath.identity(of: configuration)?.isRegular == true else { return false }
        let (zeros, start) = (OutputFile.unfinishedHead, Array(ExportShards.configurationStart.utf8))
        let input = try InputFile(path: configuration)
        guard input.byteCount >= start.count else { return false }
        return try input.bytes(at: 0, count: start.count) == zeros + start.dropFirst(zeros.count)
    }

    private static func isShard(_ name: String) -> Bool { ShardName(name)?.file == ExportShards.weightsName }

    /// Names for a sentence; of shards, which may be many, their pattern.
    private static func list(_ names: [String]) -> String {
        let shards = names.filter { isShard($0) }
        var listed = names.filter { !isShard($0) }
        if shards.count > 1 {
            listed.append("\(shards.count) files model-*-of-*.safetensors")
        } else {
            listed += shards
        }
        guard let last = listed.popLast(), !listed.isEmpty else { return listed.last ?? names[0] }
        return "\(listed.joined(separator: ", ")) and \(last)"
    }

    /// Makes a file, which gets its name with all the others.
    mutating func make(_ name: String, _ write: (OutputFile) throws(LeafError) -> Void) throws(LeafError) {
        let part = try OutputFile.unfinished("\(path)/\(name)", calls: calls)
        parts.append((part, "\(path)/\(name)"))
        try write(part)
    }

    /// Gives all files their names, and removes what does not belong to them.
    func finish() throws(LeafError) {
        precondition(parts.map { FilePath.name(of: $0.result) } == made)
        try OutputFile.finish(parts) { () throws(LeafError) in
            for name in stale { try FilePath.remove("\(path)/\(name)") }
        }
    }

    /// Leaves the folder as it was, unless some files have their names: then the next run begins anew.
    func abandon() {
        guard parts.last?.file.isNamed != false else { return }
        for part in parts { try? FilePath.remove(part.file.path) }
    }
}
