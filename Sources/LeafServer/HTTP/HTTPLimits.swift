import Glibc
import LeafSystem

/// What connections may take, in bytes and in time. Bytes are parts of the memory plan.
package struct HTTPLimits: Sendable, Equatable {
    /// Connections at the same time.
    package var connections = 256
    /// The head of a request: its line and its headers.
    package var headBytes = 16 << 10
    /// The body of a request.
    package var bodyBytes = 1 << 20
    /// What all requests together may hold before they are read.
    package var poolBytes = 4 << 20
    /// What may wait for a client that does not read.
    package var outputBytes = 256 << 10
    /// What all such clients may keep waiting together.
    package var outputPoolBytes = 4 << 20

    /// Whether connections are encrypted.
    package var isEncrypted = false

    package var headSeconds = 10.0
    package var bodySeconds = 30.0
    /// A connection on which nothing is asked.
    package var idleSeconds = 75.0
    /// A client that confirms nothing that was sent to it.
    package var confirmationSeconds = 30.0

    package init() {}

    /// Of a connection beside what it receives and sends: libevent's objects, the parsed headers, ours.
    private static let connectionBytes = 12 << 10

    private var bytesEach: Int { Self.connectionBytes + (isEncrypted ? TLSCertificate.connectionBytes : 0) }

    package var byteCount: Int { connections *| bytesEach +| poolBytes +| outputPoolBytes }

    /// The same with fewer connections where the process may not have so many descriptors. It is given as many as it
    /// needs where that is possible.
    package func withinDescriptors() -> HTTPLimits {
        let wanted = Self.otherDescriptors + Self.connectionDescriptors * connections
        return within(descriptors: Self.descriptors(wanting: wanted))
    }

    package func within(descriptors: Int) -> HTTPLimits {
        var limits = self
        let most = (descriptors - Self.otherDescriptors) / Self.connectionDescriptors
        limits.connections = min(connections, max(Self.fewestConnections, most))
        return limits
    }

    /// A client may be sent a file.
    private static let connectionDescriptors = 2
    private static let otherDescriptors = 32
    private static let fewestConnections = 4

    private static func descriptors(wanting wanted: Int) -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return wanted }
        guard limit.rlim_cur < wanted else { return wanted }
        var more = limit
        more.rlim_cur = min(rlim_t(wanted), limit.rlim_max)
        return Int(clamping: setrlimit(resource, &more) == 0 ? more.rlim_cur : limit.rlim_cur)
    }

    /// The same within so many bytes, as far as that is possible: of what each part has beyond its least, all lose the
    /// same share. What connections leave of it, being whole, is the pools', so that asking for more takes no less.
    package func within(_ bytes: Int) -> HTTPLimits {
        guard byteCount > bytes else { return self }
        var least = self
        least.connections = min(connections, 8)
        least.poolBytes = min(poolBytes, bodyBytes + headBytes)
        least.outputPoolBytes = min(outputPoolBytes, outputBytes)
        guard least.byteCount < bytes else { return least }
        let share = Double(bytes - least.byteCount) / Double(byteCount - least.byteCount)
        func part(_ all: Int, beyond few: Int) -> Int { few + Int(Double(all - few) * share) }
        var limits = least
        limits.connections = part(connections, beyond: least.connections)
        limits.poolBytes = part(poolBytes, beyond: least.poolBytes)
        limits.outputPoolBytes += min(outputPoolBytes - least.outputPoolBytes, bytes - limits.byteCount)
        limits.poolBytes += min(poolBytes - limits.poolBytes, bytes - limits.byteCount)
        return limits
    }
}
