import LeafFormat
import LeafSystem

/// What lies in a folder that is given for a checkpoint, an adapter or a soft prompt.
enum SourceFolder {
    /// Finds the file to begin with: the one of a usual name, in Hugging Face's cache that of the snapshot, else the
    /// only file of weights.
    ///
    /// - Parameter usual: names, preferred first.
    /// - Throws: `.badInput` naming what lies there instead.
    static func weights(in folder: String, named usual: [String]) throws(LeafError) -> String {
        func isThere(_ name: String) -> Bool {
            FilePath.exists("\(folder)/\(name)") || FilePath.exists("\(folder)/\(name)\(Consumption.suffix)")
        }
        if let name = usual.first(where: isThere) { return "\(folder)/\(name)" }
        if let snapshot = try snapshot(in: folder) { return try weights(in: snapshot, named: usual) }
        let names = try FilePath.names(in: folder, atMost: mostNames)
        let found = names.map { $0.hasSuffix(Consumption.suffix) ? String($0.dropLast(Consumption.suffix.count)) : $0 }
            .filter(isWeights)
        if found.count == 1 { return "\(folder)/\(found[0])" }
        guard found.isEmpty else {
            throw LeafError(.badInput, "\(folder) holds \(found.listed()); give one of them")
        }
        throw LeafError(
            .badInput,
            "\(folder) holds " + (usual.isEmpty ? "no weights" : "none of \(usual.joined(separator: ", "))")
                + (hint(folder, names).map { "; \($0)" } ?? ""))
    }

    private static let mostNames = 4096
    private static let endings = [".safetensors", ".pt", ".pth", ".bin", ".ckpt"]
    /// Whether a name is that of weights by its ending.
    static func endsAsWeights(_ name: String) -> Bool { endings.contains { name.hasSuffix($0) } }
    /// What trainers save beside the weights, with the same endings.
    private static let others = ["training_args", "optimizer", "scheduler", "rng_state", "random_states", "scaler"]

    private static func isWeights(_ name: String) -> Bool {
        endsAsWeights(name) && !others.contains { name.hasPrefix($0) }
    }

    /// The snapshot of a model in Hugging Face's cache: `models--org--name/snapshots/REVISION`.
    private static func snapshot(in folder: String) throws(LeafError) -> String? {
        let snapshots = FilePath.name(of: folder) == "snapshots" ? folder : "\(folder)/snapshots"
        guard FilePath.isDirectory(snapshots) else { return nil }
        let revisions = try FilePath.names(in: snapshots, atMost: mostNames)
            .filter { FilePath.isDirectory("\(snapshots)/\($0)") }
        let reference = try? InputFile(path: "\(FilePath.folder(of: snapshots))/refs/main")
            .bytes(atMost: 256, what: "a revision")
        let main = reference.map { String(decoding: $0, as: UTF8.self).filter { !$0.isWhitespace } }
        if let revision = revisions.first(where: { $0 == main }) ?? (revisions.count == 1 ? revisions[0] : nil) {
            return "\(snapshots)/\(revision)"
        }
        guard !revisions.isEmpty else { return nil }
        throw LeafError(
            .badInput,
            "\(snapshots) holds several snapshots, and none is called the main one; give one of "
                + revisions.map { "\(snapshots)/\($0)" }.listed())
    }

    /// What to do about what lies there instead.
    private static func hint(_ folder: String, _ names: [String]) -> String? {
        if let name = names.first(where: { UnfinishedDownload.mark(of: $0) != nil }) {
            return "\(name) is a download that was not finished, finish it"
        }
        if names.contains("data.pkl") {
            let name = FilePath.name(of: folder)
            return "it is a file of torch.save that was unpacked, pack it again by `zip -0 -r \(name).pt \(name)`"
        }
        let archives = names.filter { name in [".zip", ".tar", ".gz", ".7z"].contains { name.hasSuffix($0) } }
        if !archives.isEmpty { return "unpack \(archives.listed()) first" }
        let models = names.filter { $0.hasPrefix("models--") }
        if !models.isEmpty { return "give one of the models in it: \(models.listed())" }
        let folders = names.filter { FilePath.isDirectory("\(folder)/\($0)") && !$0.hasPrefix(".") }
        return folders.isEmpty ? nil : "perhaps \(folders.map { "\(folder)/\($0)" }.listed()) was meant"
    }
}
