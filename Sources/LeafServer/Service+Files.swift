import LeafSystem
import LeafWire
import Leafcutter

/// Files that clients send, and batches of what is in them.
extension Service {
    /// What is kept for clients, and with what it is worked on.
    package struct Files: Sendable {
        let store: FileStore
        let origin: [(name: String, value: String)]
        /// Bytes that one batch may take beside the model.
        let batchBytes: Int

        /// - Parameters:
        ///   - origin: what decides every answer beside its request (`Model.origin`).
        ///   - batchBytes: that one batch may take beside the model.
        package init(_ store: FileStore, origin: [(name: String, value: String)], batchBytes: Int) {
            (self.store, self.origin, self.batchBytes) = (store, origin, batchBytes)
        }
    }

    /// - Parameter key: the place of the client's key; nil where nobody is asked for one.
    func take(_ exchange: HTTPExchange, at route: FileRoute, key: Int?) {
        guard let fileDesk else { return refuse(exchange, .filesAreOff(options.filesAdvice)) }
        guard route.methods.contains(exchange.method) else {
            return refuse(exchange, method: route.methods.map(\.rawValue).joined(separator: ", "))
        }
        guard exchange.method == .get || !isStopping else { return refuse(exchange, .stopping) }
        if route == .batches, exchange.method == .post, !HeaderValue.isJSON(exchange.header("Content-Type")) {
            return refuse(exchange, .notJSON)
        }
        let body = exchange.takeBody()
        guard body.byteCount <= options.limits.bodyBytes else {
            return refuse(exchange, .bodyTooLong(options.limits.bodyBytes))
        }
        lastNumber += 1
        let number = lastNumber
        asked[number] = exchange
        exchange.whenGone = { [unowned self] in asked[number] = nil }
        let question = FileDesk.Question(
            route: route, method: exchange.method, query: exchange.query, contentType: exchange.header("Content-Type"),
            owner: key.flatMap { options.keys?.owner(at: $0) } ?? "", body: body)
        fileDesk.ask(question) { [inbox] answer in inbox.put(.filed(number: number, answer)) }
    }

    func hear(_ answer: FileDesk.Answer, of number: Int) {
        guard let exchange = asked.removeValue(forKey: number) else { return }
        exchange.whenGone = {}
        switch answer {
        case .json(let line, let ignored):
            name(ignored, to: exchange)
            exchange.send(.ok, "application/json", (line + "\n").utf8)
        case .content(let file): send(file, exchange)
        case .refused(let error): refuse(exchange, error)
        }
    }

    private static let pieceBytes = 64 << 10

    /// In pieces, so that memory does not grow with the file.
    private func send(_ file: InputFile, _ exchange: HTTPExchange) {
        exchange.add(header: "X-Content-Type-Options", "nosniff")
        exchange.start(.ok, "application/octet-stream", length: file.byteCount)
        var offset = 0
        exchange.write(pieces: {
            Result { () throws(LeafError) in
                let count = min(Self.pieceBytes, file.byteCount - offset)
                guard count > 0 else { return nil }
                defer { offset += count }
                return try file.bytes(at: offset, count: count)
            }
        })
    }

    /// Goes on with batches, once there is a model.
    func startBatches(on opened: Opened) {
        guard let files = options.files else { return }
        let gate = BatchGate(opened.model.file.configuration, places: carousel.places) { [inbox] in
            inbox.put(.placesReturned)
        }
        let means = BatchRunner.Means(
            origin: files.origin, bytes: files.batchBytes, places: carousel.places,
            onTokens: { [inbox] in inbox.put(.batchTokens($0)) })
        let runner = BatchRunner(files.store, means)
        // Without a thread for them batches wait, and all others are answered.
        guard (try? runner.start(on: opened.model, gate)) != nil else { return }
        (batchGate, batchRunner) = (gate, runner)
    }
}
