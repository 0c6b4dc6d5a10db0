import CZip
import Glibc
import LeafFormat
import Synchronization

/// A zip archive whose entries are stored as they are, as torch writes them. Entries are read at any place.
///
/// Packed entries are refused, so nothing grows when it is read. One entry is open at a time.
final class ZipArchive: Sendable {
    struct Entry: Sendable {
        let index: UInt64
        let byteCount: Int
    }

    let path: String
    let entries: [String: Entry]
    private let state: Mutex<Handles>

    /// The most entries that are looked at; ten times those of the largest model within the limits.
    private static let maximumEntries = 1 << 20

    /// - Throws: `.badInput` if the file is not a whole zip archive, or has packed or encrypted entries.
    init(path: String) throws(LeafError) {
        let fileBytes = try InputFile(path: path).byteCount
        var code: Int32 = 0
        guard let archive = zip_open(path, ZIP_RDONLY, &code) else {
            var error = zip_error_t()
            zip_error_init_with_code(&error, code)
            defer { zip_error_fini(&error) }
            throw LeafError(
                .badInput,
                "\(path) is not a whole zip archive (\(String(cString: zip_error_strerror(&error)).lowercased())); "
                    + "get the checkpoint again")
        }
        let handles = Handles(archive: archive)
        self.path = path
        entries = try Self.list(handles.archive, path, fileBytes)
        state = Mutex(handles)
    }

    /// Names, sizes and whether they can be read, without reading any entry.
    private static func list(
        _ archive: OpaquePointer, _ path: String, _ fileBytes: Int
    ) throws(LeafError) -> [String: Entry] {
        let count = Int(zip_get_num_entries(archive, 0))
        guard (0...maximumEntries).contains(count) else {
            throw LeafError(.badInput, "\(path) has \(count) entries, too many for a checkpoint")
        }
        var entries: [String: Entry] = [:]
        entries.reserveCapacity(count)
        for index in 0..<UInt64(count) {
            var status = zip_stat_t()
            guard zip_stat_index(archive, index, 0, &status) == 0, let name = status.name.map({ String(cString: $0) })
            else { throw LeafError(.badInput, "\(path): entry \(index) of the zip archive is damaged") }
            guard status.comp_method == UInt16(ZIP_CM_STORE), status.encryption_method == UInt16(ZIP_EM_NONE),
                status.size == status.comp_size
            else {
                throw LeafError(
                    .badInput,
                    "\(path): entry \(name) is packed or encrypted, which torch never does; save it by torch.save")
            }
            guard status.size <= UInt64(fileBytes) else {
                throw LeafError(
                    .badInput, "\(path): entry \(name) promises \(status.size) bytes, more than the file has")
            }
            guard entries.updateValue(Entry(index: index, byteCount: Int(status.size)), forKey: name) == nil else {
                throw LeafError(.badInput, "\(path): entry \(name) is there twice")
            }
        }
        return entries
    }

    /// Fills `target` with the bytes of an entry from `offset` on.
    func read(_ name: String, at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        guard let entry = entries[name], offset >= 0, target.count <= entry.byteCount - offset else {
            throw LeafError(.badInput, "\(path): entry \(name) is not there or too short")
        }
        // The pointer crosses into the lock and stays there no longer than the call.
        nonisolated(unsafe) let target = target
        let fault = state.withLock { handles in handles.read(entry, at: offset, into: target) }
        if let fault {
            throw LeafError(.io, "\(path): entry \(name) cannot be read (\(fault)); get the checkpoint again")
        }
    }

    /// libzip's objects, used under the lock only.
    private struct Handles: ~Copyable, @unchecked Sendable {
        let archive: OpaquePointer
        private var file: OpaquePointer?
        private var index = UInt64.max
        private var position = 0

        init(archive: OpaquePointer) { self.archive = archive }

        deinit {
            if let file { zip_fclose(file) }
            zip_discard(archive)
        }

        /// - Returns: why it failed, nil if it did not.
        mutating func read(_ entry: Entry, at offset: Int, into target: UnsafeMutableRawBufferPointer) -> String? {
            if file == nil || index != entry.index {
                if let file { zip_fclose(file) }
                file = zip_fopen_index(archive, entry.index, 0)
                index = entry.index
                position = 0
            }
            guard let file else { return String(cString: zip_strerror(archive)).lowercased() }
            if position != offset {
                guard zip_fseek(file, zip_int64_t(offset), SEEK_SET) == 0 else { return explain(file) }
                position = offset
            }
            var done = 0
            while done < target.count {
                let count = zip_fread(file, target.baseAddress! + done, zip_uint64_t(target.count - done))
                guard count > 0 else { return count == 0 ? "it ends too early" : explain(file) }
                done += Int(count)
                position += Int(count)
            }
            return nil
        }

        private func explain(_ file: OpaquePointer) -> String {
            String(cString: zip_file_strerror(file)).lowercased()
        }
    }
}

/// One entry of an archive as the storage of tensors.
final class ZipStorage: TensorStorage {
    let path: String
    let byteCount: Int
    private let archive: ZipArchive
    private let entry: String

    init?(_ archive: ZipArchive, entry: String) {
        guard let byteCount = archive.entries[entry]?.byteCount else { return nil }
        self.archive = archive
        self.entry = entry
        self.byteCount = byteCount
        path = archive.path
    }

    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        try archive.read(entry, at: offset, into: target)
    }
}
