import CZip
import Glibc
import LeafFormat

/// A zip archive whose entries are stored as they are, as torch writes them.
///
/// Packed entries are refused, so nothing grows when it is read. Used from one thread.
final class ZipArchive {
    struct Entry: Sendable {
        let index: UInt64
        let byteCount: Int
    }

    let path: String
    let entries: [String: Entry]
    private let archive: OpaquePointer
    /// What libzip reads from; it closes it.
    private let stream: UnsafeMutablePointer<FILE>

    /// The most entries that are looked at; ten times those of the largest model within the limits.
    private static let maximumEntries = 1 << 20

    /// - Throws: `.badInput` if the file is not a whole zip archive, or has packed or encrypted entries.
    init(path: String) throws(LeafError) {
        let fileBytes = try InputFile(path: path).byteCount
        guard let stream = fopen(path, "rbe") else { throw .system("\(path) cannot be opened", errno) }
        var error = zip_error_t()
        zip_error_init(&error)
        defer { zip_error_fini(&error) }
        guard let source = zip_source_filep_create(stream, 0, -1, &error) else {
            fclose(stream)
            throw Self.unreadable(path, &error)
        }
        guard let archive = zip_open_from_source(source, ZIP_RDONLY, &error) else {
            zip_source_free(source)
            throw Self.unreadable(path, &error)
        }
        self.path = path
        self.archive = archive
        self.stream = stream
        do {
            entries = try Self.list(archive, path, fileBytes)
        } catch {
            zip_discard(archive)
            throw error
        }
    }

    deinit { zip_discard(archive) }

    private static func unreadable(_ path: String, _ error: inout zip_error_t) -> LeafError {
        LeafError(
            .badInput,
            "\(path) is not a whole zip archive (\(String(cString: zip_error_strerror(&error)).lowercased())); "
                + "get the checkpoint again")
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

    /// All bytes of an entry; `target` has as many.
    func read(_ name: String, into target: UnsafeMutableRawBufferPointer) throws(LeafError) {
        guard let entry = entries[name], target.count == entry.byteCount else {
            throw LeafError(.badInput, "\(path): entry \(name) is not there")
        }
        try withEntry(entry, name) { (file) throws(LeafError) in
            var done = 0
            while done < target.count {
                done += try read(file, name, UnsafeMutableRawBufferPointer(rebasing: target[done...]))
            }
        }
    }

    /// Where the bytes of an entry lie in the archive's file, so that they can be read without libzip; nil if there is no
    /// such entry.
    func storage(_ name: String, in file: InputFile) throws(LeafError) -> TensorStorage? {
        guard let entry = entries[name] else { return nil }
        guard entry.byteCount > 0 else { return TensorStorage(file, begin: 0, byteCount: 0) }
        // libzip does not tell the place, but its stream stands behind what it read there.
        var probe: UInt8 = 0
        let place = try withEntry(entry, name) { (handle) throws(LeafError) in
            try withUnsafeMutableBytes(of: &probe) { (byte) throws(LeafError) in
                _ = try read(handle, name, byte)
                return ftello(stream) - 1
            }
        }
        var byte: UInt8 = 0
        if let storage = TensorStorage(file, begin: place, byteCount: entry.byteCount) {
            try withUnsafeMutableBytes(of: &byte) { (byte) throws(LeafError) in try storage.read(at: 0, into: byte) }
            if byte == probe { return storage }
        }
        throw unreadable(name, "it is not where the table says")
    }

    private func withEntry<Result>(
        _ entry: Entry, _ name: String, _ use: (OpaquePointer) throws(LeafError) -> Result
    ) throws(LeafError) -> Result {
        guard let file = zip_fopen_index(archive, entry.index, 0) else {
            throw unreadable(name, String(cString: zip_strerror(archive)).lowercased())
        }
        defer { zip_fclose(file) }
        return try use(file)
    }

    /// - Returns: how many bytes came, at least one.
    private func read(
        _ file: OpaquePointer, _ name: String, _ target: UnsafeMutableRawBufferPointer
    ) throws(LeafError) -> Int {
        let count = zip_fread(file, target.baseAddress!, zip_uint64_t(target.count))
        guard count > 0 else {
            throw unreadable(
                name, count == 0 ? "it ends too early" : String(cString: zip_file_strerror(file)).lowercased())
        }
        return Int(count)
    }

    private func unreadable(_ name: String, _ reason: String) -> LeafError {
        LeafError(.io, "\(path): entry \(name) cannot be read (\(reason)); get the checkpoint again")
    }
}
