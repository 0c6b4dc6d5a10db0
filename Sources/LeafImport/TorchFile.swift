import LeafFormat
import LeafSystem

/// A file written by `torch.save`: a zip archive with one pickle, which is the table of tensors, and one entry for each
/// storage.
enum TorchFile {
    /// The type of a file, by its first bytes.
    enum Kind {
        case zip
        /// torch before 1.6: several pickles, concatenated.
        case legacy
        case other
    }

    static func kind(of file: InputFile) throws(LeafError) -> Kind {
        let magic = try file.bytes(at: 0, count: min(4, file.byteCount))
        if magic.starts(with: [0x50, 0x4B, 0x03, 0x04]) { return .zip }
        // A pickle of protocol 2 that begins with a long number, which is torch's magic number.
        if magic.starts(with: [0x80, 0x02, 0x8A]) { return .legacy }
        return .other
    }

    /// Every tensor of the state dict in the file.
    ///
    /// - Parameter allowance: has to hold the archive's table and the pickle.
    static func tensors(of file: InputFile, _ allowance: inout HeapAllowance) throws(LeafError) -> [SourceTensor] {
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
        var storages: [String: TensorStorage] = [:]
        var tensors: [SourceTensor] = []
        let size = min(archive.entries[table]?.byteCount ?? 0, Unpickler.maximumBytes)
        try allowance.take(Unpickler.heapBound(byteCount: size), for: "its pickle", of: path)
        let pickle = try archive.bytes(of: table, atMost: Unpickler.maximumBytes)
        for (name, tensor) in try Unpickler.stateDict(pickle, path: path) {
            let key = tensor.storage.key
            if storages[key] == nil { storages[key] = try archive.storage("\(prefix)/data/\(key)") }
            guard let storage = storages[key] else {
                throw LeafError(
                    .badInput, "\(path) lacks the storage \(key) of tensor \(name); get the checkpoint again")
            }
            let size = tensor.storage.type.byteCount
            guard let promised = tensor.storage.count.multiplied(by: size), promised <= storage.byteCount,
                let offset = tensor.offset.multiplied(by: size)
            else {
                throw LeafError(
                    .badInput,
                    "\(path): tensor \(name) wants \(tensor.storage.count) numbers of storage \(key), "
                        + "which has \(storage.byteCount) bytes; get the checkpoint again")
            }
            tensors.append(
                try SourceTensor(
                    name: name, type: tensor.storage.type, shape: tensor.shape, strides: tensor.strides,
                    storage: storage, offset: offset))
        }
        return tensors
    }
}
