import Foundation
import Glibc
import LeafServer
import LeafSystem
import Testing

/// A server on a socket, before there is a model.
@Suite struct ServiceTests {
    /// What another thread makes first.
    private final class Found<Value: Sendable>: Sendable {
        private let monitor = Monitor<Value?>(nil, events: 1)

        func put(_ value: Value) {
            monitor.withLock { $0 = $0 ?? value }
            monitor.wakeAll(Monitor.Event(0))
        }

        func wait() -> Value { monitor.wait(for: Monitor.Event(0)) { $0 } }
    }

    /// What a client finds while a server runs.
    private func serve<Answer>(
        _ options: Service.Options, _ client: (_ port: Int) throws -> Answer
    ) throws -> Answer {
        var options = options
        options.drainSeconds = 0
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
        defer {
            running.handle.stop()
            threads.wait()
        }
        return try client(running.port)
    }

    /// The first line about an answer that did not become whole.
    private func firstLoss(_ limits: HTTPLimits, _ client: (_ port: Int) throws -> Void) throws -> String {
        let line = Found<String>()
        var options = Service.Options()
        options.limits = limits
        options.log = AccessLog(.json) { if !$0.contains(#""gone":false,"cut":false"#) { line.put($0) } }
        return try serve(options) { port in
            try client(port)
            return line.wait()
        }
    }

    /// The answer to a request, whose end is that of the connection.
    private func answer(to path: String, at port: Int) throws -> String {
        let client = try ask(path, times: 1, fields: "Connection: close\r\n", at: port)
        defer { close(client) }
        var (answer, piece) = ([UInt8](), [UInt8](repeating: 0, count: 4096))
        while case let count = recv(client, &piece, piece.count, 0), count > 0 { answer += piece.prefix(count) }
        return String(decoding: answer, as: UTF8.self)
    }

    /// A client that asks and does not read, in a small window.
    private func ask(_ path: String, times: Int, fields: String = "", at port: Int) throws -> Int32 {
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
        let request = Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n".utf8)
        for _ in 0..<times { try #require(send(client, request, request.count, 0) == request.count) }
        return client
    }

    @Test func whatPassesByItselfSaysWhenToComeBack() throws {
        let paths = ["/health", "/v1/models", "/plan", "/events"]
        for answer in try serve(Service.Options(), { port in try paths.map { try answer(to: $0, at: port) } }) {
            #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 5\r\n"), "\(answer)")
            #expect(answer.contains("loading"))
        }
        // Refused before it is whole.
        var options = Service.Options()
        options.limits.poolBytes = 20
        let refusal = try serve(options) { port in try answer(to: "/health", at: port) }
        #expect(refusal.hasPrefix("HTTP/1.1 503 ") && refusal.contains("\r\nRetry-After: 2\r\n"), "\(refusal)")
        #expect(refusal.contains("no room"))
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

    /// Where more waits for clients than may.
    @Test func whoTakesItsAnswerSlowlyIsNotTakenForOneThatDoesNot() throws {
        var limits = HTTPLimits()
        limits.outputPoolBytes = 4096
        let threads = ThreadGroup()
        var deaf: Int32 = -1
        let line = try firstLoss(limits) { port in
            // It began first, and there is something for it all the time.
            let slow = try ask("/main.js", times: 200, at: port)
            usleep(400_000)
            deaf = try ask("/openapi.json", times: 200, at: port)
            try threads.start {
                var piece = [UInt8](repeating: 0, count: 2048)
                for _ in 0..<60 where recv(slow, &piece, piece.count, 0) > 0 { usleep(50_000) }
                close(slow)
            }
            usleep(1_500_000)
            _ = try answer(to: "/nothing", at: port)
        }
        close(deaf)
        threads.wait()
        #expect(line.contains(#""path":"/openapi.json""#) && line.contains(#""cut":true"#), "\(line)")
    }

    @Test func anAnswerWhoseClientLeavesIsGone() throws {
        let line = try firstLoss(HTTPLimits()) { port in
            close(try ask("/openapi.json", times: 200, at: port))
        }
        #expect(line.contains(#""gone":true,"cut":false"#), "\(line)")
    }
}
