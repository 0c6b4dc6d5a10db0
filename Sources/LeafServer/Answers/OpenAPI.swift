import LeafFormat

/// The description of all routes, OpenAPI 3.1, which is their documentation as well.
enum OpenAPI {
    /// The document, JSON.
    static let document = """
        {
        "openapi": "3.1.0",
        "info": {
         "title": "Leafcutter", "version": "1",
         "description": "CPM-Ant inside a memory budget: OpenAI's routes, and our own. Fields that nobody knows are \
        accepted and named in X-Leafcutter-Ignored. What would change the answer and cannot be served is refused."
        },
        "security": [{}, {"key": []}],
        "paths": \(JSON.object(paths).line),
        "components": {
         "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
         "headers": \(headers.line),
         "responses": \(responses.line),
         "schemas": {
        \(requests),
        \(answers),
        \(files)
         }
        }
        }

        """

    private static var paths: [(key: String, value: JSON)] {
        [
            post(.completions, "Continue texts.", "CompletionRequest", "Completion", streams: true),
            post(
                .chat, "Continue the contents of messages, joined by line breaks.", "ChatRequest", "ChatCompletion",
                streams: true),
            post(.embeddings, "Turn texts into vectors.", "EmbeddingRequest", "Embeddings"),
            post(.fill, "Fill the blanks of a text.", "FillRequest", "Filling"),
            post(.score, "Score a text behind another, or choose among texts.", "ScoreRequest", "Score"),
            post(.tokenize, "Turn a text into ids.", "TokenizeRequest", "Tokens"),
            post(.detokenize, "Turn ids into a text.", "DetokenizeRequest", "Text"),
            get("/tokenizer_info", "Special tokens and sizes.", json(schema("TokenizerInfo"))),
            get("/v1/models", "The one model.", json(schema("Models"))),
            get(
                "/v1/models/{id}", "The model by its name.", json(schema("Model")), errors: [.notFound],
                parameters: [
                    ["name": "id", "in": "path", "required": .bool(true), "schema": ["type": "string"]]
                ]),
            get(
                "/health", "Whether it answers.", json(schema("Health")), isOpen: true,
                unavailable: json(["anyOf": [schema("Health"), schema("Error")]])),
            get("/plan", "The memory plan, and what guesses tokens.", json(schema("Plan"))),
            get("/metrics", "Counters for Prometheus.", text("text/plain")),
            get("/events", "Where the sweep is, as server-sent events.", events),
            get("/openapi.json", "This document.", json(["type": "object"])),
        ] + filePaths
    }

    private static func post(
        _ route: AnswerDesk.Route, _ summary: String, _ request: String, _ answer: String, streams: Bool = false
    ) -> (key: String, value: JSON) {
        let content = fields(json(schema(answer))) + (streams ? fields(events) : [])
        let ignored: (key: String, value: JSON) = (
            "X-Leafcutter-Ignored",
            ["description": "Fields of the body that nobody knows.", "schema": ["type": "string"]]
        )
        let unknown: (key: String, value: JSON) = (
            "X-Leafcutter-Unknown",
            [
                "description": "How many characters of the texts stand for no token; missing without any.",
                "schema": ["type": "integer", "minimum": .integer(1)],
            ]
        )
        // Ids have no characters.
        let answers = Self.answer(.object(content), route == .detokenize ? [ignored] : [ignored, unknown])
        let errors = failures([.contentTooLarge, .unsupportedMediaType, .tooManyRequests, .internalError])
        return (
            route.rawValue,
            [
                "post": [
                    "operationId": .string("\(route)"), "summary": .string(summary),
                    "requestBody": ["required": .bool(true), "content": json(schema(request))],
                    "responses": .object(answers + errors),
                ]
            ]
        )
    }

    private static func get(
        _ path: String, _ summary: String, _ content: JSON, errors: [HTTPStatus] = [], isOpen: Bool = false,
        unavailable: JSON? = nil, parameters: [JSON] = []
    ) -> (key: String, value: JSON) {
        var answers = answer(content) + failures(errors, isOpen: isOpen)
        if let unavailable, let index = answers.firstIndex(where: { $0.key == "503" }) {
            answers[index].value = response(.unavailable, unavailable)
        }
        var operation: [(key: String, value: JSON)] = [
            ("summary", .string(summary)), ("responses", .object(answers)),
        ]
        if isOpen { operation.append(("security", [])) }
        if !parameters.isEmpty { operation.append(("parameters", .array(parameters))) }
        return (path, ["get": .object(operation)])
    }

    /// What an operation is answered with where nothing is wrong.
    static func answer(
        _ content: JSON, _ own: [(key: String, value: JSON)] = []
    ) -> [(key: String, value: JSON)] {
        let headers: JSON = .object([requestID] + own)
        return [("200", ["description": "The answer.", "headers": headers, "content": content])]
    }

    private static let requestID = header("X-Request-Id")

    private static func header(_ name: String) -> (key: String, value: JSON) {
        (name, ["$ref": .string("#/components/headers/\(name)")])
    }

    /// Those that come with answers of many kinds.
    private static var headers: JSON {
        [
            "X-Request-Id": [
                "description": .string(
                    "What the request is called here and in the log: as its own X-Request-Id says, if that is "
                        + "1 to \(RequestID.longest) visible characters of ASCII."),
                "required": .bool(true), "schema": ["type": "string"],
            ],
            "Retry-After": ["description": "Seconds.", "schema": ["type": "integer"]],
        ]
    }

    /// What any request may come to, whatever it asks for.
    private static let ofAny: [HTTPStatus] = [
        .badRequest, .forbidden, .methodNotAllowed, .requestTimeout, .expectationFailed, .headTooLarge, .notImplemented,
        .unavailable, .unknownVersion,
    ]

    /// - Parameters:
    ///   - own: what else the operation may come to.
    ///   - isOpen: whether it needs no key.
    static func failures(_ own: [HTTPStatus], isOpen: Bool = false) -> [(key: String, value: JSON)] {
        let key: [HTTPStatus] = isOpen ? [] : [.unauthorized]
        let all = Set(own + ofAny + key)
        return HTTPStatus.errors.filter { all.contains($0) }.map { status in
            ("\(status.rawValue)", ["$ref": .string("#/components/responses/\(status.rawValue)")])
        }
    }

    private static var responses: JSON {
        .object(HTTPStatus.errors.map { ("\($0.rawValue)", response($0, json(schema("Error")))) })
    }

    private static func response(_ status: HTTPStatus, _ content: JSON) -> JSON {
        let mayPass = status == .tooManyRequests || status == .unavailable
        let headers = [requestID] + (mayPass ? [header("Retry-After")] : [])
        return ["description": .string(status.meaning), "headers": .object(headers), "content": content]
    }

    static func schema(_ name: String) -> JSON { ["$ref": .string("#/components/schemas/\(name)")] }
    static func json(_ schema: JSON) -> JSON { ["application/json": ["schema": schema]] }
    /// What stands at the type of a stream describes each of its events.
    private static var events: JSON { ["text/event-stream": ["schema": schema("Event")]] }

    private static func text(_ type: String) -> JSON {
        let content: JSON = ["schema": ["type": "string"]]
        return .object([(type, content)])
    }

    private static func fields(_ object: JSON) -> [(key: String, value: JSON)] {
        if case .object(let fields) = object { fields } else { [] }
    }
}
