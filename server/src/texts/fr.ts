import type { Texts } from './shape.ts'

export const fr = {
  errors: {
    validation_failed:
      "Certains champs ne sont pas corrects. Rien n'a été débité. Corrigez-les et renvoyez la demande.",
    malformed_body: "Le corps de la demande n'est pas du JSON valide. Rien n'a été débité. Vérifiez-le et renvoyez-le.",
    unauthorized: "Veuillez vous connecter : il faut un jeton d'accès ou une session valide.",
    forbidden: "Vous êtes connecté, mais vous n'avez pas le droit de faire cela.",
    user_mismatch: "L'utilisateur nommé dans la demande n'est pas celui de votre jeton d'accès. Rien n'a été fait.",
    not_found: "Il n'y a rien ici, ou cela appartient à quelqu'un d'autre.",
    method_not_allowed: 'Cette adresse existe mais ne connaît pas cette méthode.[ Elle accepte : {allow}.]',
    conflict: "Cela ne va pas avec l'état actuel. Rien n'a été changé. Rechargez et regardez de nouveau.",
    request_in_progress:
      "La même demande est encore en cours. Rien n'a été débité deux fois. Redemandez dans un instant.",
    gone: "Ceci n'est plus disponible : déjà utilisé, ou expiré.",
    precondition_failed: "Ceci a été modifié depuis votre lecture. Rien n'a été changé. Rechargez d'abord.",
    payload_too_large: "La demande est trop grande.[ Au plus {maxBytes} octets sont acceptés ici.] Rien n'a été débité.",
    unsupported_media_type: "Ce type de contenu n'est pas accepté ici. Envoyez application/json.",
    range_not_satisfiable: 'Le fichier est plus court que la plage demandée.',
    idempotency_key_reused:
      "Cette Idempotency-Key a déjà servi pour une autre demande. Rien n'a été débité. Prenez une nouvelle clé.",
    too_many_requests:
      "Trop de demandes à la fois. Rien n'a été débité. Patientez[ {retryAfterSec} s] et réessayez.",
    internal:
      "Quelque chose s'est mal passé chez nous. Réessayez ; si cela persiste, donnez ce numéro à l'opérateur" +
      '[ : {requestId}].',
    service_unavailable:
      "Nous ne pouvons pas répondre pour l'instant. Rien n'a été débité. Réessayez[ dans {retryAfterSec} s].",
    insufficient_tokens:
      "Vous n'avez pas assez de jetons[ : {required} nécessaires, {available} disponibles]. Rien n'a été débité. " +
      'Rechargez votre solde et réessayez.',
    queue_full:
      "L'attente est si longue que votre demande n'aurait pas commencé à temps ; nous ne l'avons pas prise. " +
      "Rien n'a été débité. Réessayez[ dans {retryAfterSec} s].",
    provider_not_configured:
      "Ce fournisseur n'est pas encore configuré ici. Rien n'a été débité. Voyez l'opérateur ou choisissez-en un autre.",
    transient: 'Le fournisseur a eu une panne passagère. Vos jetons vous ont été rendus. Réessayez.',
    rate_limited: 'Le fournisseur est trop sollicité en ce moment. Vos jetons vous ont été rendus. Réessayez plus tard.',
    unavailable:
      'Le fournisseur est surchargé ou en maintenance. Vos jetons vous ont été rendus. Réessayez plus tard.',
    no_credits:
      'Les crédits de ce service chez le fournisseur sont épuisés. Vos jetons vous ont été rendus. ' +
      "L'opérateur doit les recharger ; réessayez plus tard.",
    content_policy:
      'Le fournisseur a refusé ce texte ou cette image selon ses règles de contenu. Vos jetons vous ont été rendus. ' +
      'Changez la formulation et réessayez.',
    invalid_request:
      "Le fournisseur n'a pas accepté ces réglages. Vos jetons vous ont été rendus. Changez-les et réessayez.",
    provider_auth:
      "Le fournisseur n'accepte pas notre clé d'accès. Vos jetons vous ont été rendus. L'opérateur doit la corriger.",
    provider_task_gone: 'Le fournisseur ne connaît plus cette tâche. Vos jetons vous ont été rendus. Relancez-la.',
    provider_failed: 'Le fournisseur a essayé et échoué. Vos jetons vous ont été rendus. Réessayez.',
    provider_malformed:
      "Le fournisseur a répondu d'une façon que nous ne comprenons pas. Vos jetons vous ont été rendus. Réessayez.",
    empty_result:
      "Le fournisseur a annoncé un succès sans donner de fichier. Vos jetons vous ont été rendus. Réessayez.",
    no_image:
      "Le modèle a répondu par du texte au lieu d'une image, même quand on le lui a redemandé. " +
      "Vos jetons vous ont été rendus. Décrivez l'image autrement et réessayez.",
    submit_unknown:
      "Nous n'avons pas pu savoir si le fournisseur a pris la demande, et nous ne demandons pas deux fois pour ne pas " +
      "payer deux fois. Vos jetons vous ont été rendus. Si le résultat arrive encore, il est à vous gratuitement.",
    download_failed:
      "Le résultat n'a pas pu être récupéré chez le fournisseur. Vos jetons pour cela vous ont été rendus. " +
      'Vous pouvez le récupérer de nouveau gratuitement.',
    bad_file:
      'Le fournisseur a livré un fichier abîmé. Vos jetons pour cela vous ont été rendus. ' +
      'Vous pouvez le récupérer de nouveau gratuitement.',
    unsafe_url:
      "Le fournisseur a nommé une adresse que nous n'ouvrons pas par prudence. " +
      'Vos jetons pour cela vous ont été rendus.',
    file_too_large:
      'Le résultat est plus grand que ce que nous conservons. Vos jetons pour cela vous ont été rendus.',
    storage_failed:
      "Nous n'avons pas pu enregistrer le fichier, et c'est notre faute. Vos jetons pour cela vous ont été rendus. " +
      'Vous pouvez le récupérer de nouveau gratuitement.',
    deadline_exceeded:
      'Cela a duré plus longtemps que notre attente maximale. Vos jetons vous ont été rendus. ' +
      'Si le résultat arrive encore, il est à vous gratuitement. Vous pouvez réessayer.',
    cancelled: "Ceci a été annulé. Les jetons pour tout ce qui n'est pas arrivé vous sont rendus.",
  },
  labels: {
    validation_failed: 'Champs incorrects',
    malformed_body: 'Corps mal formé',
    unauthorized: 'Connexion nécessaire',
    forbidden: 'Non autorisé',
    user_mismatch: 'Autre utilisateur',
    not_found: 'Introuvable',
    method_not_allowed: 'Méthode non autorisée',
    conflict: 'Conflit',
    request_in_progress: 'Demande en cours',
    gone: 'Plus disponible',
    precondition_failed: 'Modifié entre-temps',
    payload_too_large: 'Demande trop grande',
    unsupported_media_type: 'Type de contenu non accepté',
    range_not_satisfiable: 'Plage impossible',
    idempotency_key_reused: "Clé d'idempotence déjà utilisée",
    too_many_requests: 'Trop de demandes',
    internal: 'Erreur interne',
    service_unavailable: 'Momentanément indisponible',
    insufficient_tokens: 'Pas assez de jetons',
    queue_full: "File d'attente pleine",
    provider_not_configured: 'Fournisseur non configuré',
    transient: 'Panne passagère du fournisseur',
    rate_limited: 'Trop de sollicitations',
    unavailable: 'Fournisseur indisponible',
    no_credits: 'Crédits insuffisants',
    content_policy: 'Règles de contenu non respectées',
    invalid_request: 'Demande non valable',
    provider_auth: 'Clé refusée par le fournisseur',
    provider_task_gone: "La tâche n'existe plus",
    provider_failed: 'Échec chez le fournisseur',
    provider_malformed: 'Réponse inattendue du fournisseur',
    empty_result: 'Aucun résultat',
    no_image: 'Réponse sans image',
    submit_unknown: "Issue de l'envoi inconnue",
    download_failed: 'Échec du téléchargement',
    bad_file: 'Fichier abîmé',
    unsafe_url: 'Adresse de fichier peu sûre',
    file_too_large: 'Fichier trop grand',
    storage_failed: "N'a pas pu être enregistré",
    deadline_exceeded: 'Délai dépassé',
    cancelled: 'Annulé',
  },
  progress: {
    queued: 'Demande acceptée, elle attend son tour…',
    submitting: 'Envoi de la demande au fournisseur…',
    generating: 'Le fournisseur y travaille…',
    previewing: 'Le début peut déjà être écouté, la suite arrive…',
    saving: 'Terminé, nous enregistrons vos fichiers…',
    complete: 'Terminé : vos fichiers sont enregistrés.',
    complete_with_missing:
      "Terminé, mais {missing} n'a pas pu être enregistré ; les jetons correspondants vous ont été rendus.",
    failed: "Cela n'a pas marché ; vos jetons vous ont été rendus.",
    timed_out: 'Cela a duré trop longtemps ; vos jetons vous ont été rendus.',
    cancelled: 'Annulé.',
    indeterminate: "Le fournisseur n'a pas répondu clairement ; nous cherchons à savoir s'il y travaille…",
    blocked: 'En attente : {reason}. Nous continuerons de nous-mêmes dès que possible.',
  },
  fields: {
    required: 'Ce champ est obligatoire.',
    type: "Il faut ici un autre type : {expected}.",
    too_small: 'Trop court ou trop petit : au moins {minimum}.',
    too_big: 'Trop long ou trop grand : au plus {maximum}.',
    format: "La forme n'est pas la bonne : {format}.",
    choice: 'Valeurs possibles : {choices}.',
    unknown_key: "Ce champ n'est pas connu ici.",
    cursor: "Ce curseur ne vient pas d'ici. Recommencez à la première page.",
    characters: "Il y a ici des caractères qui ne peuvent pas être conservés (NUL, ou moitié d'une paire de substitution).",
    photo_needed: 'Il faut au moins une photo du produit.',
    too_many_photos: 'Au plus {maximum} photos du produit.',
    too_many_references: 'Au plus une image de référence.',
    no_such_upload: "Ce fichier envoyé n'existe pas.",
    no_such_picture: "Cette image n'existe pas.",
    no_such_job: "Cette tâche n'existe pas.",
    unsafe_address: 'Cette adresse ne peut pas être ouverte : seulement des adresses https publiques.',
    picture_too_large: "L'image dépasse {maximum} Mo.",
    not_fetched: "L'image n'a pas pu être récupérée à cette adresse.",
    too_many_pixels:
      "L'image a trop de pixels : 50 millions au plus, et environ la moitié si elle est progressive, entrelacée ou en WebP.",
    not_a_picture: "Ce n'est pas une image : JPEG, PNG ou WebP.",
    damaged_picture: "L'image est abîmée ou vide.",
    too_many_uploads:
      "Trop de vos images attendent une tâche qui les utilise. Celles qu'aucune n'utilise sont supprimées après une semaine.",
    invalid: "Cette valeur n'est pas valable.",
  },
} as const satisfies Texts
