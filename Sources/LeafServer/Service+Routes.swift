import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// Who may ask for what.
extension Service {
    /// Answers a request, or lets it wait for its turn.
    func take(_ exchange: HTTPExchange) {
        let route = Self.name(ofRoute: exchange.path)
        exchange.whenOver = { [unowned self] in
            note(
                AccessLog.Entry(
                    id: exchange.id, peer: exchange.peer, asked: (exchange.methodName, exchange.path), route: route,
                    status: exchange.status, outcome: exchange.outcome, bytes: exchange.sentBytes,
                    seconds: (ContinuousClock.now - exchange.began) / .seconds(1)))
        }
        guard hosts.admits(exchange.header("Host")), exchange.targetHost.map({ hosts.admits($0) }) ?? true else {
            return refuse(exchange, .foreignHost)
        }
        guard admitsPage(of: exchange) else { return refuse(exchange, .foreignPage) }
        if let origin = options.crossOrigin, exchange.header("Origin") != nil {
            exchange.add(header: "Access-Control-Allow-Origin", origin)
            exchange.add(header: "Access-Control-Expose-Headers", Self.exposedHeaders)
            if exchange.method == .options { return allowCrossOrigin(exchange) }
        }
        if let asset = asset(at: exchange.path) { return send(asset, exchange) }
        if exchange.path == "/health" { return sendHealth(exchange) }
        var client = exchange.client
        var key: Int?
        if let keys = options.keys {
            guard let place = keys.place(of: exchange.header("Authorization")) else {
                exchange.add(header: "WWW-Authenticate", "Bearer")
                return refuse(exchange, .noKey)
            }
            (client, key) = ("key \(place)", place)
        }
        guard exchange.method != .post || HeaderValue.isPlain(exchange.header("Content-Encoding")) else {
            return refuse(exchange, .packedBody)
        }
        if let route = FileRoute(exchange.path) { return take(exchange, at: route, key: key) }
        if let route = AnswerDesk.Route(rawValue: exchange.path) {
            guard exchange.method == .post else { return refuse(exchange, method: "POST") }
            guard HeaderValue.isJSON(exchange.header("Content-Type")) else { return refuse(exchange, .notJSON) }
            return enqueue(exchange, route, client: client)
        }
        tell(exchange)
    }

    /// Counts a request that is over, and logs it: what is counted stands in the log, and the other way round.
    private func note(_ entry: AccessLog.Entry) {
        metrics.count(entry.route, entry.outcome)
        options.log?.write(entry)
    }

    /// A request that never became whole is over.
    func note(_ fragment: HTTPServer.Fragment) {
        note(
            AccessLog.Entry(
                id: fragment.id, peer: fragment.peer, asked: nil, route: Self.noRoute, status: fragment.outcome.status,
                outcome: fragment.outcome, bytes: fragment.sentBytes, seconds: fragment.seconds))
    }

    /// What is asked without a body.
    private func tell(_ exchange: HTTPExchange) {
        guard Self.told.contains(exchange.path) || exchange.path.hasPrefix(Self.modelsPrefix) else {
            return refuse(exchange, .notFound(exchange.path))
        }
        guard exchange.method == .get else { return refuse(exchange, method: "GET") }
        if exchange.path == "/metrics" {
            return exchange.send(.ok, "text/plain; version=0.0.4; charset=utf-8", metrics.text(now, opened?.model).utf8)
        }
        if exchange.path == "/openapi.json" {
            return exchange.send(.ok, "application/json", AnswerDesk.openAPI.utf8)
        }
        guard let opened else { return refuse(exchange, .loading) }
        switch exchange.path {
        case "/v1/models": send(opened.desk.models, exchange)
        case "/tokenizer_info": send(opened.desk.tokenizerInfo, exchange)
        case "/plan": send(opened.plan, exchange)
        case "/events": watch(exchange)
        default:
            do throws(ServedError) {
                send(try opened.desk.model(Self.unescaped(exchange.path.dropFirst(Self.modelsPrefix.count))), exchange)
            } catch {
                refuse(exchange, error)
            }
        }
    }

    private static let told: Set = [
        "/v1/models", "/tokenizer_info", "/openapi.json", "/plan", "/events", "/metrics",
    ]
    private static let modelsPrefix = "/v1/models/"

    /// What stands for a text in a path: `%` and two digits are a byte.
    private static func unescaped(_ path: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(path.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2)
            if byte == UInt8(ascii: "%"), digits.count == 2,
                let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The name under which requests are counted: one of a few, whatever clients ask for.
    private static func name(ofRoute path: String) -> String {
        if told.contains(path) || path == "/health" || AnswerDesk.Route(rawValue: path) != nil { return path }
        if path.hasPrefix(modelsPrefix) { return "/v1/models/{id}" }
        if let route = FileRoute(path) { return route.name }
        return PageAsset.all.contains { $0.path == path } ? "/" : noRoute
    }

    private static let noRoute = "(none)"

    private var now: ServerMetrics.Now {
        ServerMetrics.Now(
            waiting: carousel.waitingCount, underWay: carousel.underWayCount, texts: carousel.takenPlaces,
            rows: carousel.takenPlaces > 0 ? rows : 0, connections: http.connectionCount,
            sweepSeconds: feed?.secondsPerSweep ?? 0)
    }

    private func send(_ json: JSON, _ exchange: HTTPExchange) {
        exchange.send(.ok, "application/json", (json.line + "\n").utf8)
    }

    private func sendHealth(_ exchange: HTTPExchange) {
        guard exchange.method == .get else { return refuse(exchange, method: "GET") }
        guard opened != nil else { return exchange.refuse(.loading, as: ["status": "loading"]) }
        send(["status": "ok"], exchange)
    }

    /// Says which fields of a request nobody knows.
    func name(_ ignored: UnknownFields, to exchange: HTTPExchange) {
        if let names = ignored.header { exchange.add(header: "X-Leafcutter-Ignored", names) }
    }

    func refuse(_ exchange: HTTPExchange, method: String) {
        exchange.add(header: "Allow", method.replacing("GET", with: "GET, HEAD"))
        refuse(exchange, .wrongMethod(method))
    }

    /// What a page of another site may read of an answer, beside what every answer has.
    private static let exposedHeaders =
        "Retry-After, X-Leafcutter-Ignored, X-Leafcutter-Unknown, X-Request-Id"

    private func allowCrossOrigin(_ exchange: HTTPExchange) {
        exchange.add(header: "Access-Control-Allow-Methods", "GET, POST, DELETE")
        // Clients send headers of their own; those that are not known here are passed.
        let wanted = exchange.header("Access-Control-Request-Headers").flatMap { HeaderValue.areNames($0) ? $0 : nil }
        exchange.add(header: "Access-Control-Allow-Headers", wanted ?? "Authorization, Content-Type, Priority")
        exchange.add(header: "Access-Control-Max-Age", "600")
        exchange.send(.noContent, "text/plain", [])
    }

    /// Whether no page asks, or one of this server, or of the site that may.
    private func admitsPage(of exchange: HTTPExchange) -> Bool {
        guard let origin = exchange.header("Origin") else { return true }
        if let allowed = options.crossOrigin, allowed == "*" || allowed == origin { return true }
        // A proxy may call this server by another name than the page does. Browsers say whose the page is where they
        // trust the connection, and no page can.
        if exchange.header("Sec-Fetch-Site") == "same-origin" { return true }
        return hosts.isOwn(origin, calledBy: exchange.header("Host"))
    }

    // MARK: The page

    private func asset(at path: String) -> PageAsset? { PageAsset.all.first { $0.path == path } }

    private func send(_ asset: PageAsset, _ exchange: HTTPExchange) {
        guard exchange.method == .get else { return refuse(exchange, method: "GET") }
        exchange.add(header: "Content-Security-Policy", PageAsset.policy)
        exchange.add(header: "X-Content-Type-Options", "nosniff")
        exchange.add(header: "Referrer-Policy", "no-referrer")
        exchange.add(header: "Cache-Control", "no-cache")
        exchange.send(.ok, asset.type, asset.bytes)
    }

    // MARK: Watching

    /// Whoever watches keeps a connection as long as it likes. Half of them stay for those who ask and go.
    private var mostWatchers: Int { min(16, max(1, options.limits.connections / 2)) }
    private static let idleInterval = Duration.seconds(5)

    private func watch(_ exchange: HTTPExchange) {
        guard let feed else { return refuse(exchange, .loading) }
        guard watchers.count < mostWatchers else { return refuse(exchange, .watched(by: mostWatchers)) }
        exchange.add(header: "Cache-Control", "no-cache")
        exchange.add(header: "X-Accel-Buffering", "no")
        exchange.endsWithClient = true
        exchange.start(.ok, "text/event-stream")
        // There is nothing to watch in a head alone.
        guard !exchange.isEnded else { return }
        exchange.write("event: model\ndata: \(feed.modelEvent.line)\n\n".utf8)
        let watcher = Watcher(exchange)
        watchers[ObjectIdentifier(watcher)] = watcher
        exchange.whenGone = { [unowned self, unowned watcher] in watchers[ObjectIdentifier(watcher)] = nil }
    }

    /// Shows the sweep to those who watch: often while one runs, now and then otherwise.
    func feedWatchers(_ instant: ContinuousClock.Instant) {
        guard let feed, !watchers.isEmpty else { return }
        var line: String?
        let isRunning = feed.reading != nil
        for watcher in watchers.values {
            // Who does not read fast enough misses some.
            guard watcher.exchange.waitingBytes == 0 else { continue }
            guard isRunning || watcher.sawRunning || instant - watcher.toldAt > Self.idleInterval else { continue }
            if line == nil {
                let now = now
                let event = feed.sweepEvent(
                    SweepFeed.Riders(rows: now.rows, texts: now.texts, queued: now.waiting, tokensPerSweep: 1))
                line = "event: sweep\ndata: \(event.line)\n\n"
            }
            watcher.exchange.write((line ?? "").utf8)
            (watcher.toldAt, watcher.sawRunning) = (instant, isRunning)
        }
    }
}

extension Service.Opened {
    /// `GET /plan`
    fileprivate var plan: JSON {
        let plan = model.plan
        return [
            "budget": .integer(plan.budget), "planned": .integer(plan.total), "minimum": .integer(model.minimum),
            "context": .integer(model.capacity.longest), "sequences": .integer(model.capacity.sequences),
            "parts": .object(plan.parts.map { ($0.purpose.rawValue, .integer($0.bytes)) }),
            "streamed_bytes_per_sweep": .integer(plan.streamedBytesPerSweep),
            "speculation": ["mode": .string(model.speculation.kind.rawValue)],
        ]
    }
}

extension ServedError {
    fileprivate static let foreignHost = ServedError(
        status: .forbidden, "the server does not go by this name; its owner can allow it",
        code: "unknown_host")
    fileprivate static let foreignPage = ServedError(
        status: .forbidden, "pages of other sites may not ask; the owner of the server can allow one",
        code: "foreign_page")
    fileprivate static let noKey = ServedError(
        status: .unauthorized, "a valid API key is missing; send it as Authorization: Bearer KEY",
        code: "invalid_api_key")
    fileprivate static func watched(by count: Int) -> ServedError {
        unavailable(
            "as many watch the sweeps as may, \(count); try again when one of them has left", code: "overloaded",
            retryAfter: 30)
    }

    static let notJSON = ServedError(
        status: .unsupportedMediaType, "the body must be JSON; send Content-Type: application/json")

    fileprivate static let packedBody = ServedError(
        status: .unsupportedMediaType, "the body is packed, which is not undone here; send it without Content-Encoding")

    fileprivate static func notFound(_ path: String) -> ServedError {
        ServedError(
            status: .notFound, "there is nothing at \(String(path.prefix(80)).printable); see /openapi.json",
            code: "unknown_url")
    }

    fileprivate static func wrongMethod(_ method: String) -> ServedError {
        ServedError(status: .methodNotAllowed, "this route takes \(method) alone")
    }
}
