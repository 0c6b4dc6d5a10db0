import Glibc

/// Operations on names in a folder.
package enum FilePath {
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    package static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The file that a name refers to.
    package struct Identity: Equatable {
        package let device: UInt64
        package let file: UInt64
        /// The number of its hard links.
        package let names: Int
        package let isLink: Bool
        package let isRegular: Bool
    }

    /// The identity of the file, or of the symbolic link itself; nil if there is none.
    package static func identity(of path: String, followsLinks: Bool = false) -> Identity? {
        var status = stat()
        guard (followsLinks ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
        return Identity(
            device: UInt64(status.st_dev), file: UInt64(status.st_ino), names: Int(status.st_nlink),
            isLink: status.st_mode & S_IFMT == S_IFLNK, isRegular: status.st_mode & S_IFMT == S_IFREG)
    }

    /// Whether names can be removed from the folder of `path`.
    package static func isWritableFolder(of path: String) -> Bool { access(folder(of: path), W_OK | X_OK) == 0 }

    /// The folder that contains `path`; `.` for a bare name.
    package static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The last component of `path`.
    package static func name(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return String(path[path.utf8.index(after: slash)...])
    }

    /// The names in a folder, sorted, but for those of itself and its parent.
    ///
    /// - Parameter most: names to look at; what lies behind them is left out.
    package static func names(in folder: String, atMost most: Int) throws(LeafError) -> [String] {
        guard let stream = opendir(folder) else { throw .system("\(folder) cannot be opened", errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < most, let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    package static func remove(_ path: String) throws(LeafError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw .system("\(path) cannot be removed", errno) }
    }

    /// Creates a folder, unless it exists; its parent must exist.
    ///
    /// - Returns: whether it was created.
    package static func makeFolder(_ path: String) throws(LeafError) -> Bool {
        guard mkdir(path, 0o755) != 0 else { return true }
        let code = errno
        guard code == EEXIST else { throw .system("the folder \(path) cannot be made", code) }
        guard isDirectory(path) else {
            throw LeafError(.usage, "\(path) is there already and is no folder; give another name")
        }
        return false
    }

    /// Removes a folder, unless something is in it.
    package static func removeFolderIfEmpty(_ path: String) { _ = rmdir(path) }

    /// Renames a finished file, durably.
    package static func rename(_ old: String, to new: String) throws(LeafError) {
        guard Glibc.rename(old, new) == 0 else { throw .system("\(old) cannot be renamed to \(new)", errno) }
        try synchronizeFolder(of: new)
    }

    package static func synchronizeFolder(of path: String) throws(LeafError) {
        let folder = folder(of: path)
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("\(folder) cannot be opened", errno) }
        defer { close(descriptor) }
        // Some file systems cannot sync a folder. They return EINVAL and keep the order themselves.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw .system("\(folder) cannot be synchronized", errno)
        }
    }

    /// Bytes that an ordinary user may still write to the file system of `path`.
    package static func freeBytes(at path: String) throws(LeafError) -> Int {
        var status = statvfs()
        guard statvfs(folder(of: path), &status) == 0 else {
            throw .system("the disk of \(folder(of: path)) cannot be examined", errno)
        }
        return Int(clamping: status.f_bavail).multiplied(by: Int(clamping: status.f_frsize)) ?? Int.max
    }
}
