import LeafFormat

/// Files and batches.
extension OpenAPI {
    static var filePaths: [(key: String, value: JSON)] {
        let form: JSON = ["multipart/form-data": ["schema": schema("FileRequest")]]
        let bytes: JSON = ["application/octet-stream": ["schema": ["type": "string"]]]
        return [
            path(
                "/v1/files",
                [
                    (
                        "post",
                        operation(
                            "Keep a file of requests.", json(schema("File")),
                            errors: [.contentTooLarge, .unsupportedMediaType, .noStorage],
                            body: form)
                    ),
                    ("get", operation("The files.", json(schema("Files")), query: pageFields(10_000))),
                ]),
            path(
                "/v1/files/{id}",
                [
                    ("get", operation("What is kept of a file.", json(schema("File")), hasID: true)),
                    (
                        "delete",
                        operation("Delete a file.", json(schema("DeletedFile")), hasID: true)
                    ),
                ]),
            path("/v1/files/{id}/content", [("get", operation("The bytes of a file.", bytes, hasID: true))]),
            path(
                "/v1/batches",
                [
                    (
                        "post",
                        operation(
                            "Answer the requests of a file in the background.", json(schema("Batch")),
                            errors: [.contentTooLarge, .unsupportedMediaType, .tooManyRequests, .noStorage],
                            body: json(schema("BatchRequest")))
                    ),
                    (
                        "get",
                        operation("The batches.", json(schema("Batches")), query: pageFields(100))
                    ),
                ]),
            path("/v1/batches/{id}", [("get", operation("Where a batch is.", json(schema("Batch")), hasID: true))]),
            path(
                "/v1/batches/{id}/cancel",
                [("post", operation("End a batch.", json(schema("Batch")), hasID: true))]),
        ]
    }

    private static func path(
        _ path: String, _ operations: [(key: String, value: JSON)]
    ) -> (key: String, value: JSON) { (path, .object(operations)) }

    private static func operation(
        _ summary: String, _ content: JSON, errors: [HTTPStatus] = [], body: JSON? = nil, query: [JSON] = [],
        hasID: Bool = false
    ) -> JSON {
        // All are 404 where no files are kept.
        let answers = answer(content) + failures(errors + [.notFound, .internalError])
        var operation: [(key: String, value: JSON)] = [
            ("summary", .string(summary)), ("responses", .object(answers)),
        ]
        let id: JSON = ["name": "id", "in": "path", "required": .bool(true), "schema": ["type": "string"]]
        let parameters = query + (hasID ? [id] : [])
        if !parameters.isEmpty { operation.append(("parameters", .array(parameters))) }
        if let body { operation.append(("requestBody", ["required": .bool(true), "content": body])) }
        return .object(operation)
    }

    private static func pageFields(_ most: Int) -> [JSON] {
        func field(_ name: String, _ schema: JSON) -> JSON { ["name": .string(name), "in": "query", "schema": schema] }
        return [
            field("after", ["type": "string"]),
            field("limit", ["type": "integer", "minimum": .integer(1), "maximum": .integer(most)]),
            field("order", ["enum": ["asc", "desc"]]),
        ] + (most > 100 ? [field("purpose", ["enum": ["batch", "batch_output"]])] : [])
    }

    static let files = #"""
         "FileRequest": {
          "type": "object", "required": ["purpose", "file"],
          "properties": {
           "purpose": {"const": "batch"},
           "file": {
            "type": "string", "format": "binary",
            "description": "One request a line: {\"custom_id\",\"method\":\"POST\",\"url\",\"body\"}."
           }
          }
         },
         "File": {
          "type": "object", "required": ["id", "object", "bytes", "created_at", "filename", "purpose", "status"],
          "properties": {
           "id": {"type": "string"}, "object": {"const": "file"}, "bytes": {"type": "integer", "minimum": 0},
           "created_at": {"type": "integer"}, "expires_at": {"type": "null"}, "filename": {"type": "string"},
           "purpose": {"enum": ["batch", "batch_output"]}, "status": {"const": "processed"},
           "status_details": {"type": "null"}
          }
         },
         "Files": {
          "type": "object", "required": ["object", "data", "has_more"],
          "properties": {
           "object": {"const": "list"},
           "data": {"type": "array", "items": {"$ref": "#/components/schemas/File"}},
           "first_id": {"type": ["string", "null"]}, "last_id": {"type": ["string", "null"]},
           "has_more": {"type": "boolean"}
          }
         },
         "DeletedFile": {
          "type": "object", "required": ["id", "object", "deleted"],
          "properties": {
           "id": {"type": "string"}, "object": {"const": "file"}, "deleted": {"type": "boolean"}
          }
         },
         "BatchRequest": {
          "type": "object", "required": ["input_file_id", "endpoint", "completion_window"],
          "properties": {
           "input_file_id": {"type": "string"},
           "endpoint": {"enum": ["/v1/completions", "/v1/chat/completions", "/v1/embeddings"]},
           "completion_window": {
            "type": "string", "pattern": "^[1-9][0-9]*[hd]$", "description": "24h, 7d: at most a year."
           },
           "metadata": {
            "type": ["object", "null"], "maxProperties": 16, "additionalProperties": {"type": "string"}
           }
          }
         },
         "Batch": {
          "type": "object",
          "required": [
           "id", "object", "endpoint", "input_file_id", "completion_window", "status", "created_at", "request_counts"
          ],
          "properties": {
           "id": {"type": "string"}, "object": {"const": "batch"}, "endpoint": {"type": "string"},
           "input_file_id": {"type": "string"}, "completion_window": {"type": "string"},
           "status": {
            "enum": [
             "validating", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"
            ]
           },
           "errors": {
            "type": ["object", "null"],
            "properties": {
             "object": {"const": "list"},
             "data": {
              "type": "array",
              "items": {
               "type": "object",
               "properties": {
                "code": {"type": "string"}, "message": {"type": "string"}, "line": {"type": ["integer", "null"]},
                "param": {"type": "null"}
               }
              }
             }
            }
           },
           "output_file_id": {"type": ["string", "null"]}, "error_file_id": {"type": ["string", "null"]},
           "created_at": {"type": "integer"}, "expires_at": {"type": "integer"},
           "in_progress_at": {"type": ["integer", "null"]}, "finalizing_at": {"type": ["integer", "null"]},
           "completed_at": {"type": ["integer", "null"]}, "failed_at": {"type": ["integer", "null"]},
           "expired_at": {"type": ["integer", "null"]}, "cancelling_at": {"type": ["integer", "null"]},
           "cancelled_at": {"type": ["integer", "null"]},
           "request_counts": {
            "type": "object", "required": ["total", "completed", "failed"],
            "properties": {
             "total": {"type": "integer"}, "completed": {"type": "integer"}, "failed": {"type": "integer"}
            }
           },
           "metadata": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
           "waits_for": {
            "type": ["object", "null"], "description": "What it waits for beside its turn.",
            "properties": {"code": {"enum": ["other_options", "no_space"]}, "message": {"type": "string"}}
           }
          }
         },
         "Batches": {
          "type": "object", "required": ["object", "data", "has_more"],
          "properties": {
           "object": {"const": "list"},
           "data": {"type": "array", "items": {"$ref": "#/components/schemas/Batch"}},
           "first_id": {"type": ["string", "null"]}, "last_id": {"type": ["string", "null"]},
           "has_more": {"type": "boolean"}
          }
         }
        """#
}
