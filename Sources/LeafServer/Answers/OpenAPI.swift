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
                "/v1/models/{id}", "The model by its name.", json(schema("Model")), errors: ["401", "404"],
                parameters: [
                    ["name": "id", "in": "path", "required": .bool(true), "schema": ["type": "string"]]
                ]),
            get("/health", "Whether it answers.", json(schema("Health")), errors: ["503"], isOpen: true),
            get("/plan", "The memory plan.", json(["type": "object"])),
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
        let headers: JSON = .object(route == .detokenize ? [ignored] : [ignored, unknown])
        let answers: [(key: String, value: JSON)] = [
            ("200", ["description": "The answer.", "headers": headers, "content": .object(content)])
        ]
        let errors = ["400", "401", "408", "413", "415", "429", "500", "503"].map { ($0, response($0)) }
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
        _ path: String, _ summary: String, _ content: JSON, errors: [String] = ["401"], isOpen: Bool = false,
        parameters: [JSON] = []
    ) -> (key: String, value: JSON) {
        let answers: [(key: String, value: JSON)] = [("200", ["description": "The answer.", "content": content])]
        var operation: [(key: String, value: JSON)] = [
            ("summary", .string(summary)), ("responses", .object(answers + errors.map { ($0, response($0)) })),
        ]
        if isOpen { operation.append(("security", [])) }
        if !parameters.isEmpty { operation.append(("parameters", .array(parameters))) }
        return (path, ["get": .object(operation)])
    }

    static func response(_ status: String) -> JSON {
        let name =
            switch status {
            case "400": "BadRequest"
            case "401": "Unauthorized"
            case "429": "Busy"
            default: "Error"
            }
        return ["$ref": .string("#/components/responses/\(name)")]
    }

    private static var responses: JSON {
        func error(_ description: String) -> [(key: String, value: JSON)] {
            [("description", .string(description)), ("content", json(schema("Error")))]
        }
        let retryAfter: JSON = ["Retry-After": ["description": "Seconds.", "schema": ["type": "integer"]]]
        return [
            "BadRequest": .object(
                error("A wrong type, a value out of range, a text that is too long, something that there is not.")),
            "Unauthorized": .object(error("The key is missing or wrong.")),
            "Busy": .object(error("The queue is full.") + [("headers", retryAfter)]),
            "Error": .object(error("What went wrong, in one sentence.")),
        ]
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
