/// Bodies that are taken.
extension OpenAPI {
    private static let id = #"{"type": "integer", "minimum": 0, "maximum": 2147483647}"#

    /// Soft prompt, segment and adapter: what every kind of request has.
    private static let form = #"""
           "task": {
            "type": ["integer", "null"], "minimum": 0, "maximum": 2147483647,
            "description": "Soft prompt; 2 continues a text, 1 fills blanks."
           },
           "segment": {
            "type": ["integer", "null"], "minimum": 0, "maximum": 2147483647, "description": "Segment of the text."
           },
           "delta": {
            "type": ["string", "null"], "description": "The name of an adapter that was loaded at the start."
           },
           "prompt_embedding": {
            "type": ["string", "null"], "description": "The name of a soft prompt that was loaded at the start."
           }
        """#

    /// How a token is chosen.
    private static let sampling = #"""
           "temperature": {
            "type": ["number", "null"], "minimum": 0, "maximum": 1000, "description": "0 is greedy.",
            "default": 0.9
           },
           "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1, "default": 0.9},
           "top_k": {"type": ["integer", "null"], "minimum": 0, "maximum": 9223372036854775807, "default": 0},
           "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1, "default": 0},
           "seed": {
            "type": ["integer", "null"], "minimum": 0, "maximum": 18446744073709551615,
            "description": "The same seed gives the same text; a random one if it is missing, which the answer holds."
           },
           "frequency_penalty": {"type": ["number", "null"], "minimum": -100, "maximum": 100},
           "presence_penalty": {"type": ["number", "null"], "minimum": -100, "maximum": 100},
           "repetition_penalty": {"type": ["number", "null"], "minimum": 1, "maximum": 1000, "default": 1},
           "repetition_window": {"type": ["integer", "null"], "minimum": 1, "maximum": 9223372036854775807},
           "no_repeat_ngram": {"type": ["integer", "null"], "minimum": 0, "maximum": 9223372036854775807},
           "logit_bias": {
            "type": ["object", "null"], "maxProperties": 1024, "propertyNames": {"pattern": "^[0-9]{1,10}$"},
            "additionalProperties": {"type": "number", "minimum": -1000, "maximum": 1000},
            "description": "Added to the logits of these ids."
           },
           "greedy": {"type": ["boolean", "null"], "description": "Take the most likely token each time."},
           "beams": {
            "type": ["integer", "null"], "minimum": 1, "maximum": 256,
            "description": "Search with so many beams; answers have a score."
           },
        \#(form)
        """#

    /// What the bodies share that ask for texts to continue.
    private static let generation = #"""
           "model": {"type": ["string", "null"], "description": "Any name; there is one model."},
           "n": {
            "type": ["integer", "null"], "minimum": 1, "maximum": 1024, "default": 1,
            "description": "Texts of each prompt."
           },
           "best_of": {
            "type": ["integer", "null"], "minimum": 1, "maximum": 1024,
            "description": "Texts of which the n best are given; not in streams."
           },
           "stop": {
            "oneOf": [
             {"type": "string", "minLength": 1},
             {"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1}}, {"type": "null"}
            ]
           },
           "stream": {"type": ["boolean", "null"], "description": "Answer in chunks."},
           "stream_options": {
            "type": ["object", "null"],
            "properties": {
             "include_usage": {"type": ["boolean", "null"], "description": "End with a chunk of usage."}
            }
           },
           "user": {"type": ["string", "null"], "description": "Passed."},
           "allow_empty": {
            "type": ["boolean", "null"], "description": "Whether the first token may end the text."
           },
           "eos_id": {"type": ["integer", "null"], "minimum": 0, "maximum": 2147483647, "default": 7},
           "length_penalty": {"type": ["number", "null"], "minimum": -10, "maximum": 10},
           "early_stopping": {"type": ["boolean", "null"], "description": "Of beams."},
           "return_token_ids": {
            "type": ["boolean", "null"],
            "description": "Put token_ids into choices, prompt_token_ids into the answer, top_ids beside top_logprobs."
           },
        \#(sampling)
        """#

    /// One text or several, as texts or as ids.
    private static let texts = #"""
            "oneOf": [
             {"type": "string"}, {"type": "array", "minItems": 1, "maxItems": 256, "items": {"type": "string"}},
             {"type": "array", "minItems": 1, "items": \#(id)},
             {
              "type": "array", "minItems": 1, "maxItems": 256,
              "items": {"type": "array", "minItems": 1, "items": \#(id)}
             }
            ]
        """#

    static let requests = #"""
         "CompletionRequest": {
          "type": "object", "required": ["prompt"],
          "properties": {
           "prompt": {
        \#(texts)
           },
           "max_tokens": {
            "type": ["integer", "null"], "minimum": 0, "maximum": 10000000, "default": 16,
            "description": "0 with echo alone."
           },
           "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
           "echo": {
            "type": ["boolean", "null"],
            "description": "The prompt in front, scored under the mask of training."
           },
           "suffix": {
            "type": ["string", "null"],
            "description": "Behind the text, which is a blank then of at most max_tokens."
           },
        \#(generation)
          }
         },
         "ChatRequest": {
          "type": "object", "required": ["messages"],
          "properties": {
           "messages": {
            "type": "array", "minItems": 1,
            "items": {
             "type": "object", "required": ["role", "content"],
             "properties": {
              "role": {"enum": ["system", "developer", "user", "assistant"]},
              "content": {
               "oneOf": [
                {"type": "string"},
                {
                 "type": "array",
                 "items": {
                  "type": "object", "required": ["type", "text"],
                  "properties": {"type": {"const": "text"}, "text": {"type": "string"}}
                 }
                }
               ]
              }
             }
            }
           },
           "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 10000000, "default": 100},
           "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 10000000},
           "logprobs": {"type": ["boolean", "null"], "description": "Whether log-probabilities are wanted."},
           "top_logprobs": {
            "type": ["integer", "null"], "minimum": 0, "maximum": 20, "description": "With logprobs."
           },
           "tools": {"type": ["array", "null"], "maxItems": 0},
           "tool_choice": {"enum": ["none", "auto", null], "description": "CPM-Ant calls no tool."},
           "modalities": {"type": ["array", "null"], "items": {"const": "text"}},
           "response_format": {"type": ["object", "null"], "properties": {"type": {"const": "text"}}},
        \#(generation)
          }
         },
         "EmbeddingRequest": {
          "type": "object", "required": ["input"],
          "properties": {
           "model": {"type": ["string", "null"], "description": "Any name."},
           "input": {
        \#(texts)
           },
           "encoding_format": {"enum": ["float", "base64", null], "default": "float"},
           "pool": {"enum": ["mean", "last", null], "default": "mean"},
           "normalize": {"type": ["boolean", "null"], "default": false},
           "user": {"type": ["string", "null"], "description": "Passed."},
        \#(form)
          }
         },
         "FillRequest": {
          "type": "object", "required": ["text"],
          "properties": {
           "id": {"type": ["string", "integer", "null"]},
           "text": {
            "type": "string", "pattern": "<blank(:[1-9][0-9]{0,3})?>",
            "description": "Blanks are <blank:3> for three tokens, <blank> for the best number."
           },
           "max_blank": {"type": ["integer", "null"], "minimum": 1, "maximum": 256, "default": 8},
           "sample": {"type": ["boolean", "null"], "description": "Draw tokens."},
        \#(sampling)
          }
         },
         "ScoreRequest": {
          "type": "object",
          "anyOf": [
           {"required": ["input"], "properties": {"input": {"type": "string"}}},
           {
            "allOf": [
             {
              "anyOf": [
               {"required": ["context"], "properties": {"context": {"type": "string"}}},
               {"required": ["context_ids"], "properties": {"context_ids": {"type": "array", "minItems": 1}}}
              ]
             },
             {
              "anyOf": [
               {"required": ["target"], "properties": {"target": {"type": "string", "minLength": 1}}},
               {"required": ["target_ids"], "properties": {"target_ids": {"type": "array", "minItems": 1}}}
              ]
             }
            ]
           }
          ],
          "properties": {
           "id": {"type": ["string", "integer", "null"]},
           "context": {"type": ["string", "null"], "description": "In front of the target."},
           "context_ids": {
            "type": ["array", "null"], "description": "With <s> (6).",
            "items": \#(id)
           },
           "target": {"type": ["string", "integer", "null"]},
           "target_ids": {"type": ["array", "null"], "items": \#(id)},
           "input": {"type": ["string", "null"], "description": "A question."},
           "options": {"type": ["array", "null"], "maxItems": 256, "items": {"type": "string"}},
           "rule": {"enum": ["choice", "likelihood", "rank", null]}, "normalize": {"enum": ["length", null]},
        \#(form)
          }
         },
         "TokenizeRequest": {
          "type": "object",
          "properties": {
           "prompt": {"type": ["string", "null"], "description": "The text."},
           "content": {"type": ["string", "null"], "description": "The same."},
           "add_special_tokens": {"type": ["boolean", "null"], "description": "Put <s> in front."}
          },
          "anyOf": [
           {"required": ["prompt"], "properties": {"prompt": {"type": "string"}}},
           {"required": ["content"], "properties": {"content": {"type": "string"}}}
          ]
         },
         "DetokenizeRequest": {
          "type": "object", "required": ["tokens"],
          "properties": {"tokens": {"type": "array", "items": \#(id)}}
         }
        """#
}
