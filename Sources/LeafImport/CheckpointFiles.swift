import FoundationEssentials
import LeafFormat

/// The files of a checkpoint, and every tensor in them.
package struct CheckpointFiles: Sendable {
    /// What a file was when it was opened; tells whether an interrupted conversion may go on.
    package struct Identity: Sendable, Equatable {
        package let name: String
        package let byteCount: Int
        package let modified: Int
    }

    /// Where the weights are.
    package enum Container: String, Sendable {
        case safetensors
        case torch
    }

    /// As given.
    package let path: String
    package let container: Container
    package let identities: [Identity]
    package let tensors: [SourceTensor]
    /// `vocab.txt` beside the weights, if there is one.
    package let vocabularyPath: String?
    let json: CheckpointConfiguration

    /// - Throws: `.badInput` naming what is not there or not what it should be.
    init(path: String, configurationPath: String?) throws(LeafError) {
        self.path = path
        let isFolder = FilePath.isDirectory(path)
        let folder = isFolder ? path : FilePath.folder(of: path)
        let main = isFolder ? try Self.weights(in: path) : path

        var reader = CheckpointReader()
        if main.hasSuffix(".index.json") {
            try reader.readIndex(main, folder: folder)
        } else {
            try reader.read(main)
        }
        tensors = reader.tensors
        container = reader.container

        let jsonPath: String
        if let configurationPath {
            jsonPath = configurationPath
        } else {
            jsonPath = try Self.configuration(of: path, isFolder: isFolder)
        }
        json = try CheckpointConfiguration(path: jsonPath)
        reader.note(try InputFile(path: jsonPath))
        identities = reader.identities
        let vocabulary = folder + "/vocab.txt"
        vocabularyPath = FilePath.exists(vocabulary) ? vocabulary : nil
    }

    /// The names that transformers gives to weights, the preferred first.
    private static let names = [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
    ]

    private static func weights(in folder: String) throws(LeafError) -> String {
        guard let name = names.first(where: { FilePath.exists("\(folder)/\($0)") }) else {
            throw LeafError(.badInput, "\(folder) holds none of \(names.joined(separator: ", "))")
        }
        return "\(folder)/\(name)"
    }

    private static func configuration(of path: String, isFolder: Bool) throws(LeafError) -> String {
        let folder = isFolder ? path : FilePath.folder(of: path)
        var candidates = ["\(folder)/config.json"]
        if !isFolder {
            let name = FilePath.name(of: path)
            let stem = name.lastIndex(of: ".").map { name[..<$0] } ?? name[...]
            candidates.insert("\(folder)/\(stem).json", at: 0)
        }
        guard let found = candidates.first(where: { FilePath.exists($0) }) else {
            throw LeafError(
                .badInput,
                "\(path) has no configuration beside it (\(candidates.joined(separator: ", "))); use --config")
        }
        return found
    }
}

/// Collects the tensors of one file after the other.
private struct CheckpointReader {
    var tensors: [SourceTensor] = []
    var identities: [CheckpointFiles.Identity] = []
    var container = CheckpointFiles.Container.safetensors

    private static let maximumIndexBytes = 64 << 20

    mutating func note(_ file: InputFile) {
        identities.append(
            .init(name: FilePath.name(of: file.path), byteCount: file.byteCount, modified: file.modified))
    }

    /// Adds all tensors of a safetensors or torch file.
    mutating func read(_ path: String) throws(LeafError) {
        let file = try InputFile(path: path)
        note(file)
        switch try TorchFile.kind(of: file) {
        case .zip:
            container = .torch
            tensors += try TorchFile.tensors(path: path)
        case .legacy:
            throw LeafError(
                .badInput,
                "\(path) has the format of torch before 1.6; load it and save it again with a newer torch")
        case .other:
            let header = try SafetensorsHeader(reading: file)
            guard header.metadata[LeafMetadata.Key.format] != LeafMetadata.format else {
                throw LeafError(
                    .usage, "\(path) is a Leafcutter model already; `leafcutter export` makes a checkpoint of it")
            }
            for entry in header.tensors { tensors.append(try SourceTensor(entry, in: file)) }
        }
    }

    /// Adds all tensors of the shards that an index names; those that the index leaves out too.
    mutating func readIndex(_ path: String, folder: String) throws(LeafError) {
        let file = try InputFile(path: path)
        note(file)
        guard file.byteCount <= Self.maximumIndexBytes else {
            throw LeafError(.badInput, "\(path) has \(file.byteCount.sizeText), too much for an index of shards")
        }
        let bytes = try file.bytes(at: 0, count: file.byteCount)
        let map: [String: String]
        do {
            map = try JSONDecoder().decode(Index.self, from: Data(bytes)).weightMap
        } catch {
            throw LeafError(.badInput, "\(path) is not an index of shards: it has no readable weight_map")
        }
        let shards = Set(map.values).sorted()
        guard !shards.isEmpty else { throw LeafError(.badInput, "\(path) names no shard") }
        // Of a tensor that several shards hold, the one that the index names counts.
        var found: [String: SourceTensor] = [:]
        for shard in shards {
            guard !shard.contains("/"), !shard.hasPrefix("."), !shard.utf8.contains(0) else {
                throw LeafError(.badInput, "\(path) names the shard \(shard), which is not a file beside it")
            }
            tensors = []
            try read("\(folder)/\(shard)")
            for tensor in tensors where map[tensor.name] == shard || map[tensor.name] == nil {
                found[tensor.name] = tensor
            }
        }
        if let lost = map.keys.filter({ found[$0] == nil }).min() {
            throw LeafError(.badInput, "\(path): tensor \(lost) is not in its shard \(map[lost]!); get the shard again")
        }
        tensors = found.values.sorted { $0.name < $1.name }
    }

    private struct Index: Decodable {
        /// The file of each tensor.
        var weightMap: [String: String]

        enum CodingKeys: String, CodingKey {
            case weightMap = "weight_map"
        }
    }
}
