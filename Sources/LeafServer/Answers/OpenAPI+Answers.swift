/// Bodies that are given.
extension OpenAPI {
    static let answers = #"""
         "Logprobs": {
          "type": ["object", "null"],
          "properties": {
           "tokens": {"type": "array", "items": {"type": "string"}},
           "token_logprobs": {"type": "array", "items": {"type": ["number", "null"]}},
           "top_logprobs": {
            "type": "array", "items": {"type": ["object", "null"], "additionalProperties": {"type": "number"}}
           },
           "top_ids": {
            "type": "array", "items": {"type": ["array", "null"], "items": {"type": "integer", "minimum": 0}}
           },
           "text_offset": {"type": "array", "items": {"type": "integer", "minimum": 0}}
          }
         },
         "Usage": {
          "type": "object", "required": ["prompt_tokens", "total_tokens"],
          "properties": {
           "prompt_tokens": {"type": "integer"}, "completion_tokens": {"type": "integer"},
           "total_tokens": {"type": "integer"}
          }
         },
         "Completion": {
          "type": "object", "required": ["id", "object", "created", "model", "choices", "usage"],
          "properties": {
           "id": {"type": "string"}, "object": {"type": "string"}, "created": {"type": "integer"},
           "model": {"type": "string"}, "seed": {"type": "integer"},
           "usage": {"$ref": "#/components/schemas/Usage"},
           "prompt_token_ids": {"type": "array"},
           "choices": {
            "type": "array",
            "items": {
             "type": "object", "required": ["text", "index", "finish_reason"],
             "properties": {
              "index": {"type": "integer"}, "finish_reason": {"enum": ["stop", "length", null]},
              "score": {"type": "number"},
              "token_ids": {"type": "array", "items": {"type": "integer", "minimum": 0}},
              "text": {"type": "string"}, "logprobs": {"$ref": "#/components/schemas/Logprobs"}
             }
            }
           }
          }
         },
         "ChatCompletion": {
          "type": "object", "required": ["id", "object", "created", "model", "choices", "usage"],
          "properties": {
           "id": {"type": "string"}, "object": {"type": "string"}, "created": {"type": "integer"},
           "model": {"type": "string"}, "seed": {"type": "integer"},
           "usage": {"$ref": "#/components/schemas/Usage"},
           "prompt_token_ids": {"type": "array"},
           "choices": {
            "type": "array",
            "items": {
             "type": "object", "required": ["message", "index", "finish_reason"],
             "properties": {
              "index": {"type": "integer"}, "finish_reason": {"enum": ["stop", "length", null]},
              "score": {"type": "number"},
              "token_ids": {"type": "array", "items": {"type": "integer", "minimum": 0}},
              "message": {
               "type": "object", "required": ["role", "content"],
               "properties": {"role": {"const": "assistant"}, "content": {"type": "string"}}
              },
              "logprobs": {
               "type": ["object", "null"],
               "properties": {"content": {"type": "array", "items": {"type": "object"}}}
              }
             }
            }
           }
          }
         },
         "Event": {
          "type": "object", "required": ["data"],
          "properties": {
           "event": {"type": "string"},
           "data": {"type": "string", "description": "JSON; [DONE] behind the last chunk of an answer."}
          }
         },
         "Embeddings": {
          "type": "object", "required": ["object", "data", "model", "usage"],
          "properties": {
           "object": {"const": "list"},
           "data": {
            "type": "array",
            "items": {
             "type": "object", "required": ["object", "index", "embedding"],
             "properties": {
              "object": {"const": "embedding"}, "index": {"type": "integer"},
              "embedding": {
               "oneOf": [
                {"type": "array", "items": {"type": "number"}},
                {"type": "string", "description": "float32, the low byte first."}
               ]
              }
             }
            }
           },
           "model": {"type": "string"},
           "usage": {"$ref": "#/components/schemas/Usage"}
          }
         },
         "Filling": {
          "type": "object", "required": ["text", "ids", "blanks", "seed"],
          "properties": {
           "id": {"type": ["string", "integer"]}, "text": {"type": "string"},
           "ids": {"type": "array", "items": {"type": "integer", "minimum": 0}},
           "blanks": {
            "type": "array",
            "items": {
             "type": "object", "required": ["start", "ids", "text", "logprob"],
             "properties": {
              "start": {"type": "integer"},
              "ids": {"type": "array", "items": {"type": "integer", "minimum": 0}}, "text": {"type": "string"},
              "logprob": {"type": "number"}
             }
            }
           },
           "seed": {"type": "integer"}, "timing": {"type": "object"},
           "unknown": {"$ref": "#/components/schemas/Unknown"}
          }
         },
         "Score": {
          "type": "object",
          "properties": {
           "id": {"type": ["string", "integer"]}, "logprob": {"type": "number"},
           "token_logprobs": {"type": "array", "items": {"type": "number"}},
           "ranks": {"type": "array", "items": {"type": "integer"}}, "choice": {"type": "integer"},
           "scores": {"type": "array", "items": {"type": "number"}}, "score": {"type": "number"},
           "unknown": {"$ref": "#/components/schemas/Unknown"}
          }
         },
         "Unknown": {
          "type": "array", "items": {"type": "string"}, "maxItems": 16,
          "description": "Distinct characters that the vocabulary lacks, and words that are too long; may be missing."
         },
         "Tokens": {
          "type": "object", "required": ["tokens", "count"],
          "properties": {
           "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0}},
           "count": {"type": "integer"}, "max_model_len": {"type": "integer"},
           "unknown": {"$ref": "#/components/schemas/Unknown"}
          }
         },
         "Text": {
          "type": "object", "required": ["prompt", "content"],
          "properties": {"prompt": {"type": "string"}, "content": {"type": "string"}}
         },
         "TokenizerInfo": {
          "type": "object", "required": ["bos_token", "eos_token", "pad_token", "vocab_size", "model_max_length"],
          "properties": {
           "bos_token": {"type": "string"}, "eos_token": {"type": "string"}, "pad_token": {"type": "string"},
           "unk_token": {"type": "string"}, "add_bos_token": {"type": "boolean"},
           "add_eos_token": {"type": "boolean"}, "chat_template": {"type": "null"},
           "tokenizer_class": {"type": "string"}, "vocab_size": {"type": "integer"},
           "model_max_length": {"type": "integer"}
          }
         },
         "Model": {
          "type": "object", "required": ["id", "object", "created", "owned_by"],
          "properties": {
           "id": {"type": "string"}, "object": {"const": "model"}, "created": {"type": "integer"},
           "owned_by": {"type": "string"}
          }
         },
         "Models": {
          "type": "object", "required": ["object", "data"],
          "properties": {
           "object": {"const": "list"},
           "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}
          }
         },
         "Plan": {
          "type": "object",
          "required": [
           "budget", "planned", "minimum", "context", "sequences", "parts", "streamed_bytes_per_sweep", "speculation"
          ],
          "properties": {
           "budget": {"type": "integer", "description": "Bytes of memory, as all of these."},
           "planned": {"type": "integer"}, "minimum": {"type": "integer"},
           "parts": {"type": "object", "additionalProperties": {"type": "integer"}},
           "streamed_bytes_per_sweep": {"type": "integer", "description": "What is read from the disk each time."},
           "context": {"type": "integer", "description": "Tokens of a text at most."},
           "sequences": {"type": "integer", "description": "Texts at the same time at most."},
           "speculation": {
            "type": "object", "required": ["mode"],
            "properties": {
             "mode": {"enum": ["off", "ngram", "model"], "description": "What guesses tokens at present."}
            }
           }
          }
         },
         "Health": {
          "type": "object", "required": ["status"], "properties": {"status": {"enum": ["ok", "loading"]}}
         },
         "Error": {
          "type": "object", "required": ["error"],
          "properties": {
           "error": {
            "type": "object", "required": ["message", "type", "param", "code"],
            "properties": {
             "message": {"type": "string"}, "type": {"type": "string"}, "param": {"type": ["string", "null"]},
             "code": {"type": ["string", "null"]}
            }
           }
          }
         }
        """#
}
