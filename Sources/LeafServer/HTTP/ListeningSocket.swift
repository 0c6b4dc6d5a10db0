import CEvent
import Glibc
package import LeafSystem

/// Where a server listens: `127.0.0.1:8080`, `[::1]:8080`, `:8080` for every address, `unix:PATH`.
package enum ListeningAddress: Sendable, Equatable {
    case internet(host: String, port: Int)
    case unix(path: String)

    package static let usual = ListeningAddress.internet(host: "127.0.0.1", port: 8080)

    package init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty else { return nil }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(where: { $0 == ":" }) {
            return nil
        }
        self = .internet(host: host.isEmpty || host == "*" ? "0.0.0.0" : host, port: Int(port))
    }

    /// Whether only programs of this machine reach it.
    package var isLocal: Bool {
        switch self {
        case .unix: true
        case .internet(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.")
        }
    }

    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .internet(let host, let port):
            host.contains { $0 == ":" } ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}

/// A socket that listens. A file that it made in the file system goes with it.
package final class ListeningSocket {
    package let descriptor: Int32
    /// With the port that the system chose, where it was asked to.
    package let address: ListeningAddress
    private let madePath: String?

    private static let backlog: Int32 = 511

    /// - Throws: `.io` if the address is taken or not one of this machine's, `.usage` for a path that is too long.
    package init(_ wanted: ListeningAddress) throws(LeafError) {
        switch wanted {
        case .internet(let host, let port):
            descriptor = try Self.bound(host, port)
            address = .internet(host: host, port: Self.port(of: descriptor) ?? port)
            madePath = nil
        case .unix(let path):
            descriptor = try Self.bound(path)
            address = wanted
            madePath = path
        }
        guard listen(descriptor, Self.backlog) == 0 else {
            let code = errno
            close(descriptor)
            throw LeafError.system("cannot listen at \(wanted.description)", code)
        }
    }

    /// A socket that the system's manager opened for this process (`LISTEN_FDS`); nil where there is none.
    package static func inherited() -> ListeningSocket? {
        guard let process = getenv("LISTEN_PID"), atoi(process) == getpid(), let count = getenv("LISTEN_FDS"),
            atoi(count) >= 1
        else { return nil }
        let first: Int32 = 3
        _ = fcntl(first, F_SETFD, FD_CLOEXEC)
        _ = fcntl(first, F_SETFL, fcntl(first, F_GETFL) | O_NONBLOCK)
        return ListeningSocket(inherited: first)
    }

    private init(inherited descriptor: Int32) {
        self.descriptor = descriptor
        madePath = nil
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        _ = withUnsafeMutableBytes(of: &storage) { bytes in
            getsockname(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
        address =
            if Int32(storage.ss_family) == AF_UNIX {
                .unix(path: "(inherited)")
            } else {
                .internet(host: Self.host(of: &storage, length), port: Self.port(of: descriptor) ?? 0)
            }
    }

    deinit { if let madePath { unlink(madePath) } }

    private static func host(of storage: inout sockaddr_storage, _ length: socklen_t) -> String {
        var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let status = withUnsafeMutableBytes(of: &storage) { bytes in
            getnameinfo(
                bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), length, &name, socklen_t(name.count), nil, 0,
                NI_NUMERICHOST)
        }
        return status == 0 ? String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
    }

    private static func port(of descriptor: Int32) -> Int? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { bytes -> Int? in
            guard
                getsockname(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length) == 0
            else { return nil }
            switch Int32(bytes.load(as: sockaddr.self).sa_family) {
            case AF_INET: return Int(UInt16(bigEndian: bytes.load(as: sockaddr_in.self).sin_port))
            case AF_INET6: return Int(UInt16(bigEndian: bytes.load(as: sockaddr_in6.self).sin6_port))
            default: return nil
            }
        }
    }

    private static func bound(_ host: String, _ port: Int) throws(LeafError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &found)
        guard status == 0, let info = found else {
            throw LeafError(.io, "there is no address '\(host)' to listen at: \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(info.pointee.ai_family, info.pointee.ai_socktype | flags, info.pointee.ai_protocol)
        guard descriptor >= 0 else { throw LeafError.system("cannot open a socket", errno) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, info.pointee.ai_addr, info.pointee.ai_addrlen) == 0 else {
            let code = errno
            close(descriptor)
            let what = "cannot listen at \(ListeningAddress.internet(host: host, port: port).description)"
            throw code == EADDRINUSE
                ? LeafError(.io, "\(what): another program does; choose another port") : LeafError.system(what, code)
        }
        return descriptor
    }

    private static let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)

    private static func bound(_ path: String) throws(LeafError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < room else {
            throw LeafError(.usage, "the path of a socket may have \(room - 1) bytes, and \(path) has \(bytes.count)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        func with(_ call: (UnsafePointer<sockaddr>) -> Int32) -> Int32 {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0) }
            }
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0)
        guard descriptor >= 0 else { throw LeafError.system("cannot open a socket", errno) }
        var status = with { bind(descriptor, $0, length) }
        if status != 0, errno == EADDRINUSE, isLeftOver(path, with: with, length) {
            unlink(path)
            status = with { bind(descriptor, $0, length) }
        }
        guard status == 0 else {
            let code = errno
            close(descriptor)
            throw code == EADDRINUSE
                ? LeafError(.io, "cannot listen at \(path): something is there; choose another path")
                : LeafError.system("cannot listen at \(path)", code)
        }
        // Nobody connects before it listens. Who may talk to the model is the owner's choice to widen.
        chmod(path, 0o600)
        return descriptor
    }

    /// Whether a socket lies there of a program that is gone.
    private static func isLeftOver(
        _ path: String, with: ((UnsafePointer<sockaddr>) -> Int32) -> Int32, _ length: socklen_t
    ) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0)
        guard probe >= 0 else { return false }
        defer { close(probe) }
        return with { connect(probe, $0, length) } != 0 && errno == ECONNREFUSED
    }
}
