import LeafFormat
import LeafSystem

/// A file written by `torch.save`: a zip archive with one pickle, which is the table of tensors, and one entry for each
/// storage; before torch 1.6, pickles with the storages behind them.
enum TorchFile {
    /// The type of a file, by its first bytes.
    enum Kind {
        case zip
        /// torch before 1.6.
        case legacy
        case other
    }

    static func kind(of file: InputFile) throws(LeafError) -> Kind {
        let magic = try file.bytes(at: 0, count: min(Unpickler.oldMagic.count, file.byteCount))
        if magic.starts(with: [0x50, 0x4B, 0x03, 0x04]) { return .zip }
        if magic == Unpickler.oldMagic { return .legacy }
        return .other
    }

    /// Every tensor of the state dict in the file.
    ///
    /// - Parameter allowance: has to hold the archive's table and the pickle.
    static func tensors(of file: InputFile, _ allowance: inout HeapAllowance) throws(LeafError) -> [SourceTensor] {
        try kind(of: file) == .legacy ? tensors(ofOld: file, &allowance) : tensors(ofArchive: file, &allowance)
    }

    private static func tensors(
        ofArchive file: InputFile, _ allowance: inout HeapAllowance
    ) throws(LeafError) -> [SourceTensor] {
        let path = file.path
        let archive = try ZipArchive(file, &allowance)
        let suffix = "/data.pkl"
        let tables = archive.entries.keys.filter { $0.hasSuffix(suffix) && !$0.dropLast(suffix.count).contains("/") }
        guard tables.count == 1, let table = tables.first else {
            throw LeafError(.badInput, "\(path) is a zip archive, but not of torch.save: it has no single data.pkl")
        }
        let prefix = table.dropLast(suffix.count)
        if archive.entries["\(prefix)/byteorder"] != nil {
            let order = String(decoding: try archive.bytes(of: "\(prefix)/byteorder", atMost: 64), as: UTF8.self)
            guard order == "little" else {
                throw LeafError(.badInput, "\(path) was saved on a \(order)-endian machine; save it on another")
            }
        }
        let size = min(archive.entries[table]?.byteCount ?? 0, Unpickler.maximumBytes)
        try allowance.take(Unpickler.heapBound(byteCount: size), for: "its pickle", of: path)
        let pickle = try archive.bytes(of: table, atMost: Unpickler.maximumBytes)
        let stateDict = try Unpickler.stateDict(pickle, path: path)
        var storages: [String: TensorStorage] = [:]
        for key in stateDict.map(\.tensor.storage.key) where storages[key] == nil {
            storages[key] = try archive.storage("\(prefix)/data/\(key)")
        }
        return try tensors(stateDict, in: storages, path)
    }

    /// Before torch 1.6, the storages follow the pickles, each behind its number of elements.
    private static func tensors(
        ofOld file: InputFile, _ allowance: inout HeapAllowance
    ) throws(LeafError) -> [SourceTensor] {
        let path = file.path
        let size = min(file.byteCount, Unpickler.maximumBytes)
        try allowance.take(Unpickler.heapBound(byteCount: size), for: "its pickles", of: path)
        let table = try Unpickler.oldTable(file.bytes(at: 0, count: size), path: path)
        var storages: [String: TensorStorage] = [:]
        var position = table.end
        for storage in table.storages {
            let countBytes = 8
            guard let begin = position.adding(countBytes), begin <= file.byteCount,
                let byteCount = storage.count.multiplied(by: storage.type.byteCount),
                let place = TensorStorage(file, begin: begin, byteCount: byteCount, checksum: nil),
                try file.bytes(at: position, count: countBytes).reversed().reduce(UInt64(0), { $0 << 8 | UInt64($1) })
                    == UInt64(storage.count)
            else {
                throw LeafError(
                    .badInput, "\(path): storage \(storage.key) is cut off or damaged; get the file again")
            }
            storages[storage.key] = place
            position = begin + byteCount
        }
        return try tensors(table.stateDict, in: storages, path)
    }

    private static func tensors(
        _ stateDict: [(name: String, tensor: Unpickler.Tensor)], in storages: [String: TensorStorage], _ path: String
    ) throws(LeafError) -> [SourceTensor] {
        var tensors: [SourceTensor] = []
        for (name, tensor) in stateDict {
            let key = tensor.storage.key
            guard let storage = storages[key] else {
                throw LeafError(
                    .badInput, "\(path) lacks the storage \(key) of tensor \(name); get the file again")
            }
            let size = tensor.storage.type.byteCount
            guard let promised = tensor.storage.count.multiplied(by: size), promised <= storage.byteCount,
                let offset = tensor.offset.multiplied(by: size)
            else {
                throw LeafError(
                    .badInput,
                    "\(path): tensor \(name) wants \(tensor.storage.count.of("number")) of storage \(key), "
                        + "which has \(storage.byteCount.of("byte")); get the file again")
            }
            tensors.append(
                try SourceTensor(
                    name: name, type: tensor.storage.type, shape: tensor.shape, strides: tensor.strides,
                    storage: storage, offset: offset))
        }
        return tensors
    }
}
