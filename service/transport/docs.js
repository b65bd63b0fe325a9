"use strict";

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: -1, // operations show what they take and give
  docExpansion: "list",
  tryItOutEnabled: true,
  validatorUrl: null, // nobody else is asked whether the document is valid
});
