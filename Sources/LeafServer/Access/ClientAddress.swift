import Glibc

/// Who a client is, by its address.
package enum ClientAddress {
    /// What stands for the client: an IPv4 address, or the /64 network of an IPv6 address, all of which one client has.
    ///
    /// - Parameter peer: as numbers; anything else stands for itself.
    package static func client(of peer: String) -> String {
        var address = in6_addr()
        // What stands behind % is the interface that leads there.
        guard inet_pton(AF_INET6, String(peer.prefix { $0 != "%" }), &address) == 1 else { return peer }
        let bytes = withUnsafeBytes(of: address) { Array($0) }
        guard !bytes.starts(with: Self.mapped) else {
            return bytes[12...].map { "\($0)" }.joined(separator: ".")
        }
        let groups = stride(from: 0, to: 8, by: 2).map { String(Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]), radix: 16) }
        return groups.joined(separator: ":") + "::/64"
    }

    /// How an IPv4 address begins as an IPv6 one.
    private static let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
}
