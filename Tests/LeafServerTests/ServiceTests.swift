import Foundation
import Glibc
import LeafServer
import LeafSystem
import Testing

/// A server on a socket, before there is a model.
@Suite struct ServiceTests {
    /// What another thread makes.
    private final class Found<Value: Sendable>: Sendable {
        private let monitor = Monitor<Value?>(nil, events: 1)

        func put(_ value: Value) {
            monitor.withLock { $0 = value }
            monitor.wakeAll(Monitor.Event(0))
        }

        func wait() -> Value { monitor.wait(for: Monitor.Event(0)) { $0 } }
    }

    /// The first line about an answer that did not become whole.
    private func firstLoss(_ limits: HTTPLimits, _ client: (_ port: Int) throws -> Void) throws -> String {
        let line = Found<String>()
        var options = Service.Options()
        (options.limits, options.drainSeconds) = (limits, 0)
        options.log = AccessLog(.json) { if !$0.contains(#""gone":false,"cut":false"#) { line.put($0) } }
        let (started, threads) = (Found<(handle: Service.Handle, port: Int)?>(), ThreadGroup())
        try threads.start { [options] in
            guard let socket = try? ListeningSocket(.internet(host: "127.0.0.1", port: 0)),
                case .internet(_, let port) = socket.address,
                let service = try? Service([socket], places: 1, options)
            else { return started.put(nil) }
            started.put((service.handle, port))
            service.run()
        }
        let running = try #require(started.wait())
        try client(running.port)
        let first = line.wait()
        running.handle.stop()
        threads.wait()
        return first
    }

    /// A client that asks and never reads, in a small window.
    private func ask(_ path: String, times: Int, at port: Int) throws -> Int32 {
        let client = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var size: Int32 = 4096
        setsockopt(client, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                connect(client, address, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(status == 0)
        let request = Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
        for _ in 0..<times { try #require(send(client, request, request.count, 0) == request.count) }
        return client
    }

    @Test func anAnswerThatNobodyReadsIsCutAndNotGone() throws {
        var limits = HTTPLimits()
        limits.confirmationSeconds = 1
        var client: Int32 = -1
        // More than the system takes at once.
        let line = try firstLoss(limits) { port in client = try ask("/openapi.json", times: 200, at: port) }
        close(client)
        #expect(line.contains(#""status":200"#) && line.contains(#""gone":false,"cut":true"#), "\(line)")
    }

    @Test func anAnswerWhoseClientLeavesIsGone() throws {
        let line = try firstLoss(HTTPLimits()) { port in
            close(try ask("/openapi.json", times: 200, at: port))
        }
        #expect(line.contains(#""gone":true,"cut":false"#), "\(line)")
    }
}
