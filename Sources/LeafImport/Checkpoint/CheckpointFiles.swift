import LeafFormat
import LeafSystem

/// The files of a checkpoint, and every tensor in them.
package struct CheckpointFiles: Sendable {
    /// The state of a file when it was opened. It decides whether an interrupted conversion may continue.
    package struct Identity: Sendable, Equatable {
        package let name: String
        package let byteCount: Int
        package let modified: Int

        /// The text that a model file has about its source.
        var text: String { "\(name) (\(byteCount.of("byte")))" }
    }

    /// A file that contains weights.
    struct WeightFile: Sendable {
        /// The name in the checkpoint. The file has another name while it is being consumed.
        let path: String
        let file: InputFile

        var isConsumed: Bool { file.path != path }
    }

    /// The type of the files that contain the weights.
    package enum Container: String, Sendable {
        case safetensors
        case torch
    }

    /// The path that the caller gave.
    package let path: String
    package let container: Container
    package let identities: [Identity]
    /// Where all files lie that were read.
    let paths: [String]
    let weightFiles: [WeightFile]
    /// The path of the file that lists the shards, if there is one.
    let indexPath: String?
    package let tensors: [SourceTensor]
    /// `vocab.txt` beside the weights, if there is one.
    package let vocabularyPath: String?
    let json: CheckpointConfiguration
    /// The record of a model that BMCook pruned.
    let pruning: PruningRecord?
    /// What was read though the path does not say so.
    let notes: [String]

    /// - Throws: `.badInput` naming what is missing or invalid.
    init(path: String, configurationPath: String?, masksPath: String?) throws(LeafError) {
        self.path = path
        let isFolder = FilePath.isDirectory(path)
        let main = try Self.start(of: path)
        let folder = FilePath.folder(of: main)

        var reader = CheckpointReader()
        if main.hasSuffix(Self.indexSuffix) {
            try reader.readIndex(main)
            indexPath = main
        } else {
            try reader.read(main)
            indexPath = nil
        }
        notes = Self.notes(path, isFolder: isFolder, main: main)
        tensors = reader.tensors
        container = reader.container
        weightFiles = reader.weightFiles

        let jsonPath: String
        if let configurationPath {
            jsonPath = configurationPath
        } else {
            jsonPath = try Self.configuration(of: main)
        }
        json = try CheckpointConfiguration(path: jsonPath)
        // Some names are the same in both forms; what lies beside the weights tells them apart.
        let usual = try? (configurationPath == nil ? nil : Self.configuration(of: main))
        if let usual, let beside = try? CheckpointConfiguration(path: usual), beside.style != json.style {
            throw LeafError(
                .badInput,
                "\(jsonPath) is \(json.style.rawValue) configuration, and \(usual) beside the weights is "
                    + "\(beside.style.rawValue), whose weights have another scale",
                advice: .without("config"))
        }
        reader.note(try InputFile(path: jsonPath))
        let record = main + PruningRecord.suffix
        if FilePath.exists(record) {
            pruning = try PruningRecord(path: record, masksPath: masksPath)
        } else if masksPath == nil {
            pruning = nil
        } else {
            throw LeafError(
                .usage, "masks belong to a model that BMCook pruned, but there is no \(record)",
                advice: .without("masks"))
        }
        for file in pruning?.files ?? [] { reader.note(file) }
        identities = reader.identities
        paths = reader.paths + (usual.map { [$0] } ?? [])
        let vocabulary = folder + "/vocab.txt"
        vocabularyPath = FilePath.exists(vocabulary) ? vocabulary : nil
    }

    /// What the path does not say of the file to begin with.
    private static func notes(_ path: String, isFolder: Bool, main: String) -> [String] {
        if isFolder {
            return usualNames.contains { main == "\(path)/\($0)" } ? [] : ["the weights are those of \(main)"]
        }
        return main == path ? [] : ["\(path) is one of several shards; all that \(main) lists were read"]
    }

    /// Whether a part of the weights may be gone.
    var isConsumed: Bool { weightFiles.contains(where: \.isConsumed) }

    /// The paths of the weights and of their index. The files need not exist any more.
    static func names(_ path: String) throws(LeafError) -> (shards: [String], index: String?) {
        guard let main = try? start(of: path) else { return ([], nil) }
        guard main.hasSuffix(indexSuffix) else { return ([main], nil) }
        let index = try ShardIndex(InputFile(path: main))
        return (index.shards.map { "\(FilePath.folder(of: main))/\($0)" }, main)
    }

    /// Whether all weights of a checkpoint are gone, and the model file says that it was made from them.
    static func areGone(
        _ path: String, configurationPath: String?, into file: LeafFile
    ) throws(LeafError) -> Bool {
        let isFolder = FilePath.isDirectory(path)
        let isThere = try (names(path).shards + (isFolder ? [] : [path])).contains {
            FilePath.exists($0) || FilePath.exists($0 + Consumption.suffix)
        }
        guard !isThere, let source = file.metadata["source"]?.split(separator: ", "),
            let jsonPath = try? configurationPath ?? configuration(of: isFolder ? "\(path)/\(usualNames[0])" : path),
            let json = try? InputFile(path: jsonPath)
        else { return false }
        let identity = Identity(name: FilePath.name(of: jsonPath), byteCount: json.byteCount, modified: json.modified)
        return source.contains { $0 == identity.text }
            && (isFolder || source.contains { $0.hasPrefix("\(FilePath.name(of: path)) (") })
    }

    /// The file names that transformers uses for weights, preferred first.
    private static let usualNames = [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
    ]

    private static let indexSuffix = ".index.json"

    /// The file to begin with: weights, or the index of shards.
    private static func start(of path: String) throws(LeafError) -> String {
        let main = FilePath.isDirectory(path) ? try SourceFolder.weights(in: path, named: usualNames) : path
        guard let shard = ShardName(FilePath.name(of: main)), shard.count > 1 else { return main }
        let index = "\(FilePath.folder(of: main))/\(shard.file)\(indexSuffix)"
        guard FilePath.exists(index) else {
            throw LeafError(
                .badInput,
                "\(main) is shard \(shard.number) of \(shard.count), and \(index), which lists them, is not there; "
                    + "get it and the other shards")
        }
        return index
    }

    /// - Parameter main: weights, or the index of shards.
    private static func configuration(of main: String) throws(LeafError) -> String {
        let name = FilePath.name(of: main)
        let stem = name.lastIndex(of: ".").map { name[..<$0] } ?? name[...]
        // The stem of an index and `.json` is the index itself.
        let named = name.hasSuffix(indexSuffix) ? [] : ["\(stem).json"]
        let candidates = (usualNames.contains(name) ? ["config.json"] + named : named + ["config.json"])
            .map { "\(FilePath.folder(of: main))/\($0)" }
        guard let found = candidates.first(where: { FilePath.exists($0) }) else {
            throw LeafError(
                .badInput,
                "\(main) has no configuration beside it (\(candidates.joined(separator: ", ")))",
                advice: .setting("config", ["FILE"]))
        }
        return found
    }
}

/// The name of one of several files that hold a model: `model-00001-of-00003.safetensors`.
struct ShardName {
    /// From 1.
    let number: Int
    let count: Int
    /// The name that the model would have in one file: `model.safetensors`.
    let file: String

    /// Nil for any other name.
    init?(_ name: String) {
        let digits = 5
        guard let dot = name.lastIndex(of: ".") else { return nil }
        let parts = name[..<dot].split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[parts.count - 2] == "of", parts.last?.count == digits,
            let number = Int(digits: parts[parts.count - 3].utf8), let count = Int(digits: parts[parts.count - 1].utf8)
        else { return nil }
        (self.number, self.count) = (number, count)
        file = parts.dropLast(3).joined(separator: "-") + name[dot...]
    }
}

/// Collects the tensors of one file after another.
struct CheckpointReader {
    var tensors: [SourceTensor] = []
    var identities: [CheckpointFiles.Identity] = []
    /// Of the same files.
    var paths: [String] = []
    var weightFiles: [CheckpointFiles.WeightFile] = []
    var container = CheckpointFiles.Container.safetensors
    /// Of the table of a safetensors file, at most.
    var maximumHeaderBytes = SafetensorsHeader.maximumBytes

    /// Has to hold the tables.
    var allowance = HeapAllowance.unlimited

    /// Of the tables of adapters and soft prompts; those of an adapter for the 10B model have 0.1 million bytes.
    static let smallHeaderBytes = 1 << 20

    mutating func note(_ file: InputFile, as path: String? = nil) {
        identities.append(
            .init(name: FilePath.name(of: path ?? file.path), byteCount: file.byteCount, modified: file.modified))
        paths.append(file.path)
    }

    /// Adds all tensors of a safetensors or torch file, even of one that is being consumed.
    mutating func read(_ path: String) throws(LeafError) {
        try UnfinishedDownload.refuse(path)
        let consumed = path + Consumption.suffix
        let isConsumed = !FilePath.exists(path) && FilePath.exists(consumed)
        let file = try InputFile(path: isConsumed ? consumed : path, readsPages: true)
        note(file, as: path)
        weightFiles.append(.init(path: path, file: file))
        switch try TorchFile.kind(of: file) {
        case .zip, .legacy:
            container = .torch
            tensors += try TorchFile.tensors(of: file, &allowance)
        case .other:
            let header = try SafetensorsHeader(reading: file, atMost: maximumHeaderBytes, &allowance)
            guard header.metadata[LeafMetadata.Key.format] != LeafMetadata.format else {
                throw LeafError(
                    .usage, "\(path) is a Leafcutter model already; `leafcutter export` makes a checkpoint of it")
            }
            for entry in header.tensors { tensors.append(try SourceTensor(entry, in: file)) }
        }
    }

    /// Adds all tensors of the shards that an index names, including tensors that the index omits.
    mutating func readIndex(_ path: String) throws(LeafError) {
        let file = try InputFile(path: path)
        note(file)
        let index = try ShardIndex(file)
        let map = index.map
        // If several shards have the same tensor, use the one that the index names.
        var found: [String: SourceTensor] = [:]
        for shard in index.shards {
            tensors = []
            try read("\(FilePath.folder(of: path))/\(shard)")
            for tensor in tensors where map[tensor.name] == shard || map[tensor.name] == nil {
                found[tensor.name] = tensor
            }
        }
        if let lost = map.keys.filter({ found[$0] == nil }).min() {
            throw LeafError(.badInput, "\(path): tensor \(lost) is not in its shard \(map[lost]!); get the shard again")
        }
        tensors = found.values.sorted { $0.name < $1.name }
    }
}

/// The file that says which shard has which tensor.
private struct ShardIndex {
    /// The shard of each tensor.
    let map: [String: String]
    /// File names beside the index.
    let shards: [String]

    /// That of the 10B model has 50 KB.
    private static let maximumBytes = 1 << 20

    init(_ file: InputFile) throws(LeafError) {
        let path = file.path
        map = try file.json(Table.self, atMost: Self.maximumBytes, what: "an index of shards").weightMap
        shards = Set(map.values).sorted()
        guard !shards.isEmpty else { throw LeafError(.badInput, "\(path) names no shard") }
        for shard in shards where shard.contains("/") || shard.hasPrefix(".") || shard.utf8.contains(0) {
            throw LeafError(.badInput, "\(path) names the shard \(shard), which is not a file beside it")
        }
    }

    private struct Table: Decodable {
        var weightMap: [String: String]

        enum CodingKeys: String, CodingKey {
            case weightMap = "weight_map"
        }
    }
}
